"""What the bus is told: the change in one word, where it lands, whom it concerns; never too large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.shape_item_change.handler import NotAPipeBatchError, handler
from lambdas.shape_item_change.shape import MAX_BATCH_BYTES, MAX_EVENTS, Shaped, event_bytes, shape_batch
from lambdas.shared.item_change import ItemTypeIndex
from tests.conftest import examples
from tests.unit.items.records import item_types, patient, reading, record, registry_key

INDEX = ItemTypeIndex(item_types())
EVENTS = Path(__file__).parents[4] / "shared" / "events"
ADDRESS = {"itemType": {"S": "Address"}}


def types(shaped: list[Shaped]) -> list[str]:
    return [each["meta"]["changeType"] for each in shaped]


def test_a_change_type_is_the_item_type_and_what_happened() -> None:
    key = registry_key()
    batch = [
        record(1, key, patient()),
        record(2, key, ADDRESS, ADDRESS),
        record(3, key, None, ADDRESS),
        record(4, key, {"itemType": {"S": "Unknown"}}),
        reading(5),
    ]
    expected = ["PatientInsert", "AddressModify", "AddressRemove", "UnmatchedInsert", "SiteActivityInsert"]
    assert types(shape_batch(batch, INDEX)) == expected


def test_an_event_carries_the_stream_record_as_it_is() -> None:
    digits = "12345678901234567890123456789012345678"
    change = record(7, registry_key(), patient(riskScore={"N": digits}), at=1_772_000_000)
    (shaped,) = shape_batch([{**change, "eventVersion": "1.1"}], INDEX)
    assert shaped["event"] == {
        "eventID": "event-7",
        "eventName": "INSERT",
        "eventSourceARN": change["eventSourceARN"],
        "dynamodb": change["dynamodb"],
    }
    assert shaped["event"]["dynamodb"]["NewImage"]["riskScore"] == {"N": digits}
    assert shaped["meta"] == {
        "correlationId": "event-7",
        "changeType": "PatientInsert",
        "itemType": "Patient",
        "tableName": "watershed-registry",
        "changedAt": "2026-02-25T06:13:20.000Z",
        "expired": False,
        "references": {"Patient": ["p1"]},
        "landing": "items/table_name=watershed-registry/item_type=Patient/year=2026/month=02/day=25/hour=06/",
        "imagesOmitted": False,
    }


def test_an_item_that_became_another_type_left_the_one_it_had() -> None:
    shaped = shape_batch([record(1, registry_key(), ADDRESS, patient())], INDEX)
    assert types(shaped) == ["AddressModify", "PatientRemove"]
    assert {each["meta"]["correlationId"] for each in shaped} == {"event-1"}
    assert "item_type=Patient" in shaped[1]["meta"]["landing"]


def test_expiry_is_told_apart_from_a_delete() -> None:
    expiry = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    batch = [
        record(1, registry_key(), None, patient(), userIdentity=expiry),
        record(2, registry_key(), None, patient()),
    ]
    assert [each["meta"]["expired"] for each in shape_batch(batch, INDEX)] == [True, False]


def test_references_are_ids_only() -> None:
    text = record(1, registry_key("Jane Doe, 1980"), patient())
    of_reading = reading(2)
    of_reading["dynamodb"]["NewImage"]["patientId"] = {"S": "p-9"}
    assert [each["meta"]["references"] for each in shape_batch([text, of_reading], INDEX)] == [
        {},
        {"Patient": ["p-9"]},
    ]


def test_a_record_that_cannot_be_read_is_told_of_and_holds_nothing_up() -> None:
    secret = "Jane-Doe-1980"
    batch = [record(1, registry_key(secret), patient(v={"N": secret})), None, {"eventID": secret}, reading(2)]
    shaped = shape_batch(batch, INDEX)
    assert types(shaped) == ["Unreadable", "Unreadable", "Unreadable", "SiteActivityInsert"]
    assert [each["meta"].get("reason") for each in shaped[:3]] == [
        "not_dynamodb_json",
        "conversion_failed",
        "not_a_stream_record",
    ]
    assert shaped[0]["event"] == {"dynamodb": {"SequenceNumber": "1"}}
    assert secret not in json.dumps(shaped)


def test_the_largest_lose_their_images_and_say_so() -> None:
    def sized(sequence: int, size: int) -> dict[str, Any]:
        return record(sequence, registry_key(), patient(note={"S": "é" * size}))

    shaped = shape_batch([sized(1, 1_000), sized(2, 130_000), sized(3, 30_000)], INDEX)
    assert [each["meta"]["imagesOmitted"] for each in shaped] == [False, True, False]
    change = shaped[1]["event"]["dynamodb"]
    assert "NewImage" not in change
    assert (change["Keys"], change["SequenceNumber"]) == (registry_key(), "2")
    assert shaped[1]["meta"]["references"] == {"Patient": ["p1"]}
    assert shaped[1]["meta"]["landing"].startswith("items/")


_BATCH = st.lists(
    st.builds(
        lambda n, size, leaves: record(
            n, registry_key(), patient(note={"S": "x" * size}), ADDRESS if leaves else None
        ),
        st.integers(1, 10**21),
        st.sampled_from([10, 20_000, 300_000]),
        st.booleans(),
    ),
    max_size=5,
)


@settings(max_examples=examples(60))
@given(_BATCH)
def test_a_batch_of_five_always_fits_into_one_call(records: list[Any]) -> None:
    """Ten entries and 256 KB is what PutEvents takes; a pipe that exceeds it would retry for ever."""
    shaped = shape_batch(records, INDEX)
    assert len(records) <= len(shaped) <= MAX_EVENTS
    assert sum(event_bytes(each) for each in shaped) <= MAX_BATCH_BYTES
    assert {each["meta"]["correlationId"] for each in shaped} == {each["eventID"] for each in records}
    for each in shaped:
        assert each["meta"]["imagesOmitted"] == ("NewImage" not in each["event"]["dynamodb"])


def test_the_function_answers_a_pipe_with_json() -> None:
    assert (
        types(json.loads(json.dumps(handler([reading(1), reading(2)], None)))) == ["SiteActivityInsert"] * 2
    )
    assert handler([], None) == []
    with pytest.raises(NotAPipeBatchError, match="EventBridge pipe"):
        handler({"Records": []}, None)  # type: ignore[arg-type]


def test_samples_of_stream_records_are_told() -> None:
    file = EVENTS / "aws-lambda-go" / "dynamodb-event.json"
    if not file.exists():
        pytest.skip("../shared/events with AWS's sample events is not there")
    records = json.loads(file.read_text())["Records"]
    shaped = shape_batch(records, INDEX)
    assert [each["meta"]["correlationId"] for each in shaped] == [each["eventID"] for each in records]
    assert types(shaped) == [f"Unmatched{each['eventName'].capitalize()}" for each in records]
    assert [each["event"]["dynamodb"] for each in shaped] == [each["dynamodb"] for each in records]
