"""A query as of a time: what the time means, and which version of a table it finds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.query import InvalidMoment, UnknownSnapshot, moment
from local.query.iceberg_source import columns_at, snapshot_of

if TYPE_CHECKING:
    from pyiceberg.table import StaticTable

FIRST = datetime(2025, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)
SECOND = FIRST + timedelta(days=1)
ID = {"id": 1, "name": "id", "required": False, "type": "string"}
VALUE = {"id": 2, "name": "value", "required": False, "type": "decimal(10, 2)"}


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def snapshot(id_: int, time: datetime, schema: int) -> dict[str, Any]:
    return {
        "snapshot-id": id_,
        "sequence-number": id_,
        "timestamp-ms": milliseconds(time),
        "manifest-list": f"{id_}.avro",
        "summary": {"operation": "append"},
        "schema-id": schema,
    }


def table(folder: Path, *, published: bool = True) -> StaticTable:
    """A table that was published twice, the second time with a column more, after a branch nobody saw."""
    from pyiceberg.table import StaticTable

    times = {1: FIRST, 2: SECOND} if published else {}
    metadata = {
        "format-version": 2,
        "table-uuid": "00000000-0000-0000-0000-000000000001",
        "location": str(folder),
        "last-sequence-number": 3,
        "last-updated-ms": milliseconds(SECOND),
        "last-column-id": 2,
        "schemas": [
            {"type": "struct", "schema-id": 0, "fields": [ID]},
            {"type": "struct", "schema-id": 1, "fields": [ID, VALUE]},
        ],
        "current-schema-id": 1,
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "default-spec-id": 0,
        "last-partition-id": 999,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "default-sort-order-id": 0,
        "snapshots": [
            snapshot(3, FIRST - timedelta(hours=1), 0),
            *(snapshot(id_, time, id_ - 1) for id_, time in times.items()),
        ],
        "snapshot-log": [
            {"snapshot-id": id_, "timestamp-ms": milliseconds(time)} for id_, time in times.items()
        ],
        **({"current-snapshot-id": 2} if published else {}),
        "refs": {"audit_1": {"snapshot-id": 3, "type": "branch"}},
    }
    file = folder / "v1.metadata.json"
    file.write_text(json.dumps(metadata))
    return StaticTable.from_metadata(str(file))


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2025-01-31", datetime(2025, 1, 31, tzinfo=UTC)),
        ("2025-01-31T12:30", datetime(2025, 1, 31, 12, 30, tzinfo=UTC)),
        ("2025-01-31 12:30:00.5Z", datetime(2025, 1, 31, 12, 30, 0, 500_000, tzinfo=UTC)),
        ("2025-01-31T12:30:00+05:45", datetime(2025, 1, 31, 6, 45, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_date_or_a_timestamp(text: str, means: datetime) -> None:
    assert moment(text) == means


@pytest.mark.parametrize("text", ["yesterday", "31.01.2025", "2025-02-30", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidMoment, match="write 2025-01-31 or"):
        moment(text)


@pytest.mark.parametrize(
    ("time", "finds"),
    [
        (FIRST, 1),
        (SECOND - timedelta(microseconds=1), 1),
        (SECOND, 2),
        (SECOND + timedelta(days=900), 2),
    ],
)
def test_a_time_finds_what_was_published_last(tmp_path: Path, time: datetime, finds: int) -> None:
    assert snapshot_of(table(tmp_path), "watershed_curated.t", time) == finds


def test_before_its_first_publication_a_table_was_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownSnapshot, match=r"curated.t has no version as of .*its first.*is of 2025-01-01 12:00:00.123"
    ):
        snapshot_of(table(tmp_path), "watershed_curated.t", FIRST - timedelta(minutes=1))
    with pytest.raises(UnknownSnapshot, match="nothing was written to it yet"):
        snapshot_of(table(tmp_path, published=False), "watershed_curated.t", SECOND)


def test_columns_are_those_of_the_time(tmp_path: Path) -> None:
    assert columns_at(table(tmp_path), 1) == {"id": "string"}
    assert columns_at(table(tmp_path), 2) == {"id": "string", "value": "decimal(10,2)"}
