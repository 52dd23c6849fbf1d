"""Structured logs of the jobs: one JSON object per line on stderr. Names, counts and times; never values."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime


def log(event: str, **fields: object) -> None:
    """Write one line: ``at`` (ISO 8601, UTC), ``event`` and the fields given."""
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    sys.stderr.write(json.dumps(line, default=str, separators=(",", ":")) + "\n")
    sys.stderr.flush()
