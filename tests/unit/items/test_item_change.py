"""Stream records to envelopes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lambdas.shared.dynamodb_json import image_json
from lambdas.shared.item_change import Envelope, ItemChangeError, ItemTypeIndex, Landed, item_change
from tests.unit.items.records import SITE_ACTIVITY, item_types, patient, plain, reading, record, registry_key

LANDED = Landed(datetime(2026, 3, 1, 12, 0, tzinfo=UTC), "land:7")
_FOLDERS = [folder / "shared" / "events" for folder in Path(__file__).parents]
EVENTS = next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
FIELDS = [
    "event_id", "event_name", "sequence_number", "changed_at", "table_name", "item_type", "keys", "new_image",
    "old_image", "expired", "landed_at", "landed_by",
]  # fmt: skip


def convert(raw: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    change = item_change(raw, ItemTypeIndex(item_types()), LANDED)
    return [(each.partition, _read(each)) for each in change.envelopes]


def _read(envelope: Envelope) -> dict[str, Any]:
    assert envelope.line.count(b"\n") == 1
    read: dict[str, Any] = json.loads(envelope.line, parse_float=Decimal, parse_int=Decimal)
    return read


def test_an_insert() -> None:
    raw = record("00123", registry_key(), patient(riskScore={"N": "12.3400"}))
    ((partition, line),) = convert(raw)
    assert partition == (
        "items/table_name=watershed-registry/item_type=Patient/year=2026/month=02/day=25/hour=06/"
    )
    assert list(line) == FIELDS
    assert line == {
        "event_id": "event-00123",
        "event_name": "INSERT",
        "sequence_number": "00123",
        "changed_at": "2026-02-25T06:13:20Z",
        "table_name": "watershed-registry",
        "item_type": "Patient",
        "keys": {"id": "p1", "sk": "PATIENT"},
        "new_image": {"id": "p1", "sk": "PATIENT", "itemType": "Patient", "riskScore": Decimal("12.3400")},
        "old_image": None,
        "expired": False,
        "landed_at": "2026-03-01T12:00:00.000Z",
        "landed_by": "land:7",
    }


def test_a_fraction_of_a_second_stays() -> None:
    ((_, line),) = convert(record(1, registry_key(), patient(), at=1_772_000_000.25))
    assert line["changed_at"] == "2026-02-25T06:13:20.250000Z"


def test_a_record_without_a_time_lands_without_one() -> None:
    raw = record(1, registry_key(), patient())
    del raw["dynamodb"]["ApproximateCreationDateTime"]
    ((partition, line),) = convert(raw)
    assert line["changed_at"] is None
    assert partition.endswith(
        "/".join(f"{each}=__HIVE_DEFAULT_PARTITION__" for each in ("year", "month", "day", "hour")) + "/"
    )


TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize(
    ("identity", "expired"),
    [
        (TTL, True),
        ({"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}, True),
        ({"type": "Service", "principalId": "replication.dynamodb.amazonaws.com"}, False),
        (None, False),
    ],
)
def test_time_to_live_is_told_from_a_delete(identity: Any, expired: bool) -> None:
    ((_, line),) = convert(record(1, registry_key(), None, patient(), userIdentity=identity))
    assert (line["event_name"], line["expired"], line["new_image"]) == ("REMOVE", expired, None)
    ((_, line),) = convert(record(1, registry_key(), patient(), userIdentity=identity))
    assert not line["expired"], "only a removal can be an expiry"


@pytest.mark.parametrize(
    ("new", "old", "types"),
    [
        (patient(), None, ["Patient"]),
        (None, patient(), ["Patient"]),
        ({"itemType": {"S": "Address"}}, patient(), ["Address", "Patient"]),
        ({"itemType": {"S": "Invoice"}}, patient(), ["_unmatched", "Patient"]),
        (patient(), {"itemType": {"S": "Invoice"}}, ["Patient"]),
        ({"itemType": {"N": "1"}}, None, ["_unmatched"]),
        (None, None, ["_unmatched"]),
    ],
)
def test_the_item_type(new: Any, old: Any, types: list[str]) -> None:
    lines = convert(record(1, registry_key(), new, old))
    assert [line["item_type"] for _, line in lines] == types
    for (partition, _), item_type in zip(lines, types, strict=True):
        assert f"/item_type={item_type}/" in partition


MANY = [("A", (("kind", "a"),)), ("B", (("kind", "b"),))]


@pytest.mark.parametrize("others", [[], [("C", (("kind", "c"), ("of", "x")))], [("C", (("of", "x"),))]])
def test_types_are_told_apart_by_one_attribute_or_by_several(others: list[Any]) -> None:
    usual = item_types()[0]
    types = [replace(usual, name=name, match=match) for name, match in [*MANY, *others]]
    index = ItemTypeIndex(types)

    def name_of(**image: Any) -> str | None:
        found = index.match(usual.table_name, image)
        return found.name if found else None

    assert name_of(kind={"S": "a"}) == "A"
    assert name_of(kind={"S": "b"}, of={"S": "y"}) == "B"
    assert name_of(kind={"S": "c"}, of={"S": "x"}) == ("C" if others else None)
    unknown: list[Any] = [{"S": "d"}, {"N": "1"}, {"S": ["a"]}, {"L": []}, {}, [], "a", None]
    for other in unknown:
        assert name_of(kind=other) is None
    assert name_of() is None
    assert index.match("elsewhere", {"kind": {"S": "a"}}) is None


def test_a_table_that_nobody_declared_lands_all_the_same() -> None:
    ((partition, line),) = convert(record(1, {"k": {"N": "1"}}, {}, table="Some.Table"))
    assert partition.startswith("items/table_name=Some.Table/item_type=_unmatched/year=2026/")
    assert line["keys"] == {"k": Decimal(1)}


@pytest.mark.parametrize(
    ("site", "segment"),
    [({"S": "a/b"}, "a%2Fb"), ({"N": "1.50"}, "1.50"), ({"BOOL": True}, "true"), ({"B": "QQ=="}, "QQ%3D%3D"),
     ({"S": ""}, "__HIVE_DEFAULT_PARTITION__"), ({"NULL": True}, "__HIVE_DEFAULT_PARTITION__"),
     ({"L": []}, "__HIVE_DEFAULT_PARTITION__")],
)  # fmt: skip
def test_attribute_partitions(site: dict[str, Any], segment: str) -> None:
    raw = reading(1)
    raw["dynamodb"]["NewImage"]["siteId"] = site
    ((partition, _),) = convert(raw)
    assert partition.startswith(
        f"items/table_name={SITE_ACTIVITY}/item_type=SiteActivity/siteId={segment}/year="
    )


def test_a_removal_is_partitioned_by_what_was_removed() -> None:
    raw = reading(1, site="gone")
    raw["eventName"] = "REMOVE"
    raw["dynamodb"]["OldImage"] = raw["dynamodb"].pop("NewImage")
    ((partition, _),) = convert(raw)
    assert "/siteId=gone/" in partition


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("eventID",), None, "not_a_stream_record"),
        (("eventName",), "UPSERT", "not_a_stream_record"),
        (("eventSourceARN",), "eventsource_arn", "not_a_stream_record"),
        (("dynamodb",), None, "not_a_stream_record"),
        (("dynamodb", "SequenceNumber"), "12x", "not_a_stream_record"),
        (("dynamodb", "SequenceNumber"), "1" * 41, "not_a_stream_record"),
        (("dynamodb", "ApproximateCreationDateTime"), "now", "not_a_stream_record"),
        (("dynamodb", "ApproximateCreationDateTime"), 1e18, "not_a_stream_record"),
        (("dynamodb", "Keys"), {}, "not_a_stream_record"),
        (("dynamodb", "NewImage"), [], "not_dynamodb_json"),
        (("dynamodb", "NewImage", "v"), {"N": "secret"}, "not_dynamodb_json"),
        (("dynamodb", "NewImage", "v"), {"S": "\ud800"}, "not_unicode"),
    ],
)
def test_what_cannot_be_read_says_why_and_never_what(path: tuple[str, ...], value: Any, reason: str) -> None:
    raw = record(1, registry_key(), patient())
    place = raw
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ItemChangeError) as caught:
        convert(raw)
    assert caught.value.reason == reason
    assert "secret" not in str(caught.value)


def test_real_events() -> None:
    """Golden inputs: AWS's own samples, compared field by field with a plain evaluation."""
    samples = [
        EVENTS / "powertools-python" / "dynamoStreamEvent.json",
        EVENTS / "aws-lambda-go" / "dynamodb-event.json",
        EVENTS / "aws-lambda-go" / "dynamodb-time-window-event.json",
    ]
    if not all(sample.is_file() for sample in samples):
        pytest.skip("../shared/events with AWS's sample events is not there")
    seen = 0
    for sample in samples:
        for raw in json.loads(sample.read_text(encoding="utf-8"))["Records"]:
            if not raw["eventSourceARN"].startswith("arn:"):
                raw["eventSourceARN"] = (
                    "arn:aws:dynamodb:us-west-2:123456789012:table/Sample/stream/2026-01-01"
                )
            ((_, line),) = convert(raw)
            change = raw["dynamodb"]
            for field, name in (("keys", "Keys"), ("new_image", "NewImage"), ("old_image", "OldImage")):
                expected = {k: plain(v) for k, v in change[name].items()} if name in change else None
                assert line[field] == expected
            assert line["sequence_number"] == change["SequenceNumber"]
            assert (line["event_id"], line["event_name"]) == (raw["eventID"], raw["eventName"])
            seen += 1
    assert seen >= 7


def test_a_kinesis_change_has_the_same_images() -> None:
    sample = EVENTS / "ddb-kinesis-cdc" / "clickhouse-docs-INSERT-all-types.json"
    if not sample.is_file():
        pytest.skip("../shared/events with samples of Kinesis Data Streams for DynamoDB is not there")
    image = json.loads(sample.read_text(encoding="utf-8"))["dynamodb"]["NewImage"]
    read = json.loads(image_json(image), parse_float=Decimal, parse_int=Decimal)
    assert read == {name: plain(value) for name, value in image.items()}
