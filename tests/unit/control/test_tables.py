"""What the API tells of a table, from Iceberg's own metadata."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from lambdas.list_tables.tables import read_metadata, summary


def _metadata(totals: dict[str, str] | None = None, failed_ms: int | None = None) -> dict[str, Any]:
    snapshots: list[dict[str, Any]] = [
        {"snapshot-id": 7, "timestamp-ms": 1_700_000_000_500, "summary": totals or {}}
    ]
    refs: dict[str, Any] = {"main": {"snapshot-id": 7, "type": "branch"}}
    if failed_ms is not None:
        snapshots.append({"snapshot-id": 8, "timestamp-ms": failed_ms, "summary": {"total-records": "99"}})
        refs["audit_run-1"] = {"snapshot-id": 8, "type": "branch"}
    return {"current-snapshot-id": 7, "snapshots": snapshots, "refs": refs}


def test_rows_are_those_of_main_without_the_deleted() -> None:
    metadata = _metadata({"total-records": "12", "total-position-deletes": "2"})
    assert summary("curated.patient", metadata) == {
        "table": "curated.patient",
        "rows": 10,
        "published_at": 1_700_000_000.5,
        "snapshot": "7",
    }


def test_newer_rows_that_failed_their_audit_are_told_of() -> None:
    assert summary("t", _metadata(failed_ms=1_700_000_009_000))["failed_at"] == 1_700_000_009.0


def test_a_failure_before_the_last_publish_is_past() -> None:
    assert "failed_at" not in summary("t", _metadata(failed_ms=1_600_000_000_000))


@pytest.mark.parametrize("current", [None, -1])
def test_a_table_that_was_never_published_has_no_rows(current: int | None) -> None:
    assert summary("t", {"current-snapshot-id": current, "snapshots": []}) == {"table": "t", "rows": 0}


def test_metadata_may_be_compressed() -> None:
    content = json.dumps({"a": 1}).encode()
    assert read_metadata("v1.metadata.json", content) == {"a": 1}
    assert read_metadata("00001-x.gz.metadata.json", gzip.compress(content)) == {"a": 1}
    with pytest.raises(ValueError, match="no JSON object"):
        read_metadata("v1.metadata.json", b"[]")
