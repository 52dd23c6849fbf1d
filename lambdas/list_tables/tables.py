"""What an Iceberg table's metadata tells of it: pure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any, Final

_AUDIT_BRANCH: Final = "audit_"
"""A branch of this name that is still there holds rows that failed their audit, or are being audited."""


def read_metadata(key: str, content: bytes) -> dict[str, Any]:
    """A metadata file, which may be compressed. Raises ValueError where it is none."""
    parsed = json.loads(gzip.decompress(content) if ".gz" in key else content)
    if not isinstance(parsed, dict):
        raise ValueError("the file holds no JSON object")
    return parsed


def summary(name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A table as the API shows it: `rows` of `main`, and, in seconds since 1970, when `main` was published
    and when the rows on an audit branch newer than it were written."""
    snapshots = {each["snapshot-id"]: each for each in metadata.get("snapshots") or ()}
    main = snapshots.get(metadata.get("current-snapshot-id"))
    shown: dict[str, Any] = {"table": name, "rows": _rows(main)}
    published = 0
    if main is not None:
        published = main["timestamp-ms"]
        # As text: a snapshot's id is larger than what JavaScript counts exactly.
        shown |= {"published_at": published / 1000, "snapshot": str(main["snapshot-id"])}
    failed = [
        snapshots[ref["snapshot-id"]]["timestamp-ms"]
        for branch, ref in (metadata.get("refs") or {}).items()
        if branch.startswith(_AUDIT_BRANCH) and ref["snapshot-id"] in snapshots
    ]
    if failed and max(failed) > published:
        shown["failed_at"] = max(failed) / 1000
    return shown


def _rows(snapshot: Mapping[str, Any] | None) -> int:
    """Deleted rows stay in the data files until compaction: position deletes are counted off."""
    if snapshot is None:
        return 0
    totals = snapshot.get("summary", {})
    return int(totals.get("total-records", 0)) - int(totals.get("total-position-deletes", 0))
