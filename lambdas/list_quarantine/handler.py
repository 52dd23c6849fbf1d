"""What lies in quarantine, by source and reason: how many objects, how large, since when.

Behind `GET /quarantine` (Lambda proxy integration). It lists keys, and may read no object: lines in quarantine
are patient data. Each object holds the lines of one landing object that were refused for one reason.

Environment: LANDING_BUCKET.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import boto3

from lambdas.list_quarantine.quarantine import PREFIX, QuarantinedObject, by_reason
from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import setting

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = make_logger("list_quarantine", "objects", "complete")

MAX_OBJECTS: Final = 100_000
"""Listed at most: some 10 s, and far more than anybody looks through."""


@dataclass(frozen=True)
class Quarantine:
    """Lists the quarantine; its parts are passed in so that tests can choose them."""

    s3: S3Client
    bucket: str
    max_objects: int = MAX_OBJECTS

    def told(self) -> dict[str, Any]:
        """The answer's body; `complete` is false where there are more objects than were counted."""
        found = list(islice(self._objects(), self.max_objects + 1))
        counted, complete = found[: self.max_objects], len(found) <= self.max_objects
        logger.info("quarantine listed", objects=len(counted), complete=complete)
        return {"quarantine": by_reason(counted), "complete": complete}

    def _objects(self) -> Iterator[QuarantinedObject]:
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=PREFIX):
            for each in page.get("Contents", ()):
                yield QuarantinedObject(each["Key"], each["Size"], each["LastModified"])


def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda's entry: a proxy integration's response."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(make_quarantine().told()),
    }


@cache
def make_quarantine() -> Quarantine:
    """The one that the environment describes; kept while the function is warm."""
    return Quarantine(boto3.client("s3"), setting("LANDING_BUCKET"))
