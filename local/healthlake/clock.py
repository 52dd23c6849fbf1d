"""Time as the simulator and HealthLake write it: UTC, milliseconds since the epoch inside, text outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def instant(ms: int) -> str:
    """A FHIR instant, `2026-01-31T08:15:00.123Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def locale_date(ms: int) -> str:
    """`Aug 26, 2023 1:46:56 PM`, the form in `exportJobProperties` of the REST describe call."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    hour = moment.hour % 12 or 12
    return f"{moment:%b} {moment.day}, {moment:%Y} {hour}:{moment:%M:%S %p}"


def parse_instant(text: str) -> int:
    """Milliseconds of a FHIR instant, dateTime or date (UTC where no zone is given). Raises ValueError."""
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
