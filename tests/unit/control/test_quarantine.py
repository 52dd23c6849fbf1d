"""What the API tells of the quarantine, from the names of its objects."""

from __future__ import annotations

from datetime import UTC, datetime

from lambdas.list_quarantine.quarantine import QuarantinedObject, by_reason


def _object(key: str, second: int = 0, size: int = 1) -> QuarantinedObject:
    return QuarantinedObject(key, size, datetime(2026, 1, 31, 12, 0, second, tzinfo=UTC))


def test_objects_of_one_source_and_reason_are_counted_over_all_days() -> None:
    base = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
    found = [
        _object("quarantine/source=items/reason=wrong_type/date=2026-01-31/a.ndjson.gz", 5, size=3),
        _object("quarantine/source=items/reason=wrong_type/date=2026-01-30/b.ndjson.gz", 2, size=4),
        _object("quarantine/source=fhir/reason=not_json/date=2026-01-31/c.ndjson.gz", 9),
    ]
    assert by_reason(found) == [
        {
            "source": "fhir", "reason": "not_json", "objects": 1, "bytes": 1,
            "first_at": base + 9, "latest_at": base + 9,
        },
        {
            "source": "items", "reason": "wrong_type", "objects": 2, "bytes": 7,
            "first_at": base + 2, "latest_at": base + 5,
        },
    ]  # fmt: skip


def test_what_firehose_could_not_deliver_counts_as_well() -> None:
    """It names its reasons itself, and what it appends to the prefix is its own."""
    key = "quarantine/source=items/reason=processing-failed/date=2026-01-31/stream-1-2026-01-31-10-00-00-uuid"
    assert by_reason([_object(key)])[0]["reason"] == "processing-failed"


def test_values_are_decoded_and_what_is_no_quarantined_object_is_passed_over() -> None:
    found = [
        _object("quarantine/source=items/reason=a%3Ab/date=2026-01-31/x"),
        _object("quarantine/"),
        _object("quarantine/source=items/"),
        _object("elsewhere/source=items/reason=r/date=2026-01-31/x"),
    ]
    assert [each["reason"] for each in by_reason(found)] == ["a:b"]
