"""The landing bucket of the tests, and what lies in it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "watershed-landing-000000000000-us-east-1"


def objects(s3: S3Client) -> dict[str, list[dict[str, Any]]]:
    """The lines of every object, by key."""
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    found = {}
    for each in listed:
        body = s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
        found[each["Key"]] = [json.loads(line) for line in gzip.decompress(body).splitlines()]
    return found
