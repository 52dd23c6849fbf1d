"""What lies in the landing zone, as far as a person waits for it: how many item changes have landed."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any

from local.errors import LocalError

_PREFIXES = ("items/", "quarantine/source=items/")
_POLL_SECONDS = 0.25


class LandedChanges:
    """Counts the lines under ``items/`` and the quarantine of items; an object is read once per version."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._lines: dict[tuple[str, str], int] = {}

    def count(self) -> int:
        """How many changes have landed or are in quarantine."""
        current: dict[tuple[str, str], int] = {}
        for prefix in _PREFIXES:
            for page in self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            ):
                for entry in page.get("Contents", ()):
                    version = (entry["Key"], entry["ETag"])
                    current[version] = self._lines.get(version) or self._count_lines(entry["Key"])
        self._lines = current
        return sum(current.values())

    def _count_lines(self, key: str) -> int:
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return gzip.decompress(body).count(b"\n")

    def wait_for(self, total: int, note: Callable[[str], None], timeout: float = 120) -> int:
        """Wait until ``total`` changes have landed; says how many have.

        Raises
        ------
        LocalError : they did not within ``timeout`` seconds of the last that did
        """
        seen = -1
        deadline = time.monotonic() + timeout
        while True:
            landed = self.count()
            note(f"{landed:,} of {total:,} landed")
            if landed >= total:
                return landed
            if landed > seen:
                seen, deadline = landed, time.monotonic() + timeout
            if time.monotonic() > deadline:
                raise LocalError(
                    f"Only {landed:,} of {total:,} item changes landed.",
                    "See watershed-land-item-changes in .watershed/emulator/emulator.log.",
                )
            time.sleep(_POLL_SECONDS)
