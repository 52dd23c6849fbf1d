from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from lambdas.shared.surroundings import landing_client
from tests.aws.items.landing import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """moto, with the landing bucket that the functions are told of."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("LANDING_BUCKET", BUCKET)
    landing_client.cache_clear()
    with mock_aws():
        client: S3Client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
    landing_client.cache_clear()
