"""Hive partition paths: ``name=value/`` segments, escaped as Hive and Spark escape them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""Stands for a partition value that is missing, null or empty."""

MAX_SEGMENT_BYTES = 200
"""A longer value would push the key towards S3's 1,024 bytes (and beyond the 255 that a file system allows
for a folder), and a key that cannot be written would block the stream."""

# The characters of FileUtils.escapePathName in Hive, which Spark's ExternalCatalogUtils repeats.
_ESCAPED = re.compile(r"[\x00-\x1f\"#%'*/:=?\\\x7f{\[\]^]")


def escape(value: str) -> str:
    """``a/b c`` → ``a%2Fb c``; text that is empty or too long for a path is ``NO_VALUE``."""
    escaped = _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", value)
    if not escaped or len(escaped.encode()) > MAX_SEGMENT_BYTES:
        return NO_VALUE
    return escaped


def partition_path(values: Iterable[tuple[str, str | None]]) -> str:
    """``[("siteId", "a"), ("year", "2026")]`` → ``siteId=a/year=2026/``."""
    return "".join(f"{escape(name)}={escape(value or '')}/" for name, value in values)


def day_path(moment: datetime) -> str:
    """``year=2026/month=03/day=09/`` of a UTC time."""
    # Not strftime: its %Y does not pad years before 1000 on Linux.
    return f"year={moment.year:04d}/month={moment.month:02d}/day={moment.day:02d}/"


def hour_path(moment: datetime) -> str:
    """``year=2026/month=03/day=09/hour=07/`` of a UTC time."""
    return f"{day_path(moment)}hour={moment.hour:02d}/"
