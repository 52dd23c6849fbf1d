"""What S3 keeps of objects that were replaced or removed: their older versions, deleted for good.

The buckets are versioned, so that rewriting an object leaves it readable by its version for 30 days.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_BATCH = 1_000


def purge_noncurrent(s3: Any, bucket: str, prefixes: Iterable[str]) -> int:
    """Delete all versions but the current ones, and the marks of deletions, below prefixes; how many."""
    return sum(_purge(s3, bucket, prefix, current=False) for prefix in prefixes)


def purge_all(s3: Any, bucket: str, keys: Iterable[str]) -> int:
    """Delete objects with all their versions; how many versions."""
    return sum(_purge(s3, bucket, key, current=True, exactly=True) for key in keys)


def _purge(s3: Any, bucket: str, prefix: str, *, current: bool, exactly: bool = False) -> int:
    count, waiting = 0, []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            mark = "Size" not in found
            if (exactly and found["Key"] != prefix) or (found["IsLatest"] and not mark and not current):
                continue
            waiting.append({"Key": found["Key"], "VersionId": found["VersionId"]})
        while len(waiting) >= _BATCH:
            count += _delete(s3, bucket, waiting[:_BATCH])
            waiting = waiting[_BATCH:]
    return count + (_delete(s3, bucket, waiting) if waiting else 0)


def _delete(s3: Any, bucket: str, versions: list[dict[str, str]]) -> int:
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
    failed = reply.get("Errors", ())
    if failed:
        raise VersionsLeft(f"{len(failed)} versions in {bucket} could not be deleted ({failed[0]['Code']})")
    return len(versions)


class VersionsLeft(Exception):
    """Raised when S3 refused to delete versions; says how many, where, and S3's reason."""
