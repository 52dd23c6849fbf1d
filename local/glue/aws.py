"""Clients of the emulator: its address and its well-known key pair, nothing of the user's AWS set-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

REGION = "us-east-1"
ACCESS_KEY = "test"
"""The emulator takes any key pair for the account's root; it is no secret of anyone's."""


def _config() -> Config:
    from botocore.config import Config

    return Config(
        max_pool_connections=16,
        retries={"total_max_attempts": 3},
        # By path: a host name such as `bucket.127.0.0.1` does not resolve.
        s3={"addressing_style": "path"},
        # Bodies go over the loopback interface; hashing each twice would be most of a transfer's time.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _session() -> Session:
    from boto3.session import Session

    return Session(ACCESS_KEY, ACCESS_KEY, region_name=REGION)


def s3_client(endpoint_url: str) -> S3Client:
    client: S3Client = _session().client("s3", endpoint_url=endpoint_url, config=_config())
    return client


def glue_client(endpoint_url: str) -> GlueClient:
    client: GlueClient = _session().client("glue", endpoint_url=endpoint_url, config=_config())
    return client


def sqs_client(endpoint_url: str) -> SQSClient:
    client: SQSClient = _session().client("sqs", endpoint_url=endpoint_url, config=_config())
    return client
