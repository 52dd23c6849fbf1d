"""S3 in memory, as far as the sink and the replay ask for it, with the faults that the real one has."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

_WRITTEN = datetime(2026, 11, 25, tzinfo=UTC)


class MemoryS3:
    """Objects by bucket and key; the ``n``-th put fails as ``faults`` says.

    ``throttled``: refused, nothing written. ``lost answer``: written, but the caller never learns.
    """

    def __init__(self, faults: Mapping[int, str] | None = None) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self._faults = dict(faults or {})
        self._puts = 0
        self._lock = Lock()

    def heal(self) -> None:
        self._faults = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **rest: Any) -> dict[str, Any]:
        with self._lock:
            fault = self._faults.get(self._puts)
            self._puts += 1
            if fault == "throttled":
                raise _error("SlowDown", 503)
            if rest.get("IfNoneMatch") == "*" and (Bucket, Key) in self.objects:
                raise _error("PreconditionFailed", 412)
            self.objects[Bucket, Key] = Body
        if fault == "lost answer":
            raise ReadTimeoutError(endpoint_url="memory")
        return {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[Bucket, Key])}

    def copy_object(self, *, Bucket: str, Key: str, CopySource: Mapping[str, str]) -> None:
        self.objects[Bucket, Key] = self.objects[CopySource["Bucket"], CopySource["Key"]]

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.objects.pop((Bucket, Key), None)

    def get_paginator(self, _operation: str) -> MemoryS3:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        keys = sorted(key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix))
        yield {"Contents": [{"Key": key, "LastModified": _WRITTEN} for key in keys]}

    def lines(self, bucket: str, prefix: str) -> list[dict[str, Any]]:
        """Every line of the gzipped objects below a prefix, numbers exact."""
        found = []
        for (held, key), body in sorted(self.objects.items()):
            if held == bucket and key.startswith(prefix):
                found += [
                    json.loads(line, parse_float=Decimal, parse_int=Decimal)
                    for line in gzip.decompress(body).splitlines()
                ]
        return found


def _error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutObject",
    )
