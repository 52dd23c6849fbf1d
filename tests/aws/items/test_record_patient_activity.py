"""The consumer of the change bus, against moto's DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.record_patient_activity import handler as module
from lambdas.record_patient_activity.handler import handler
from lambdas.shape_item_change.shape import shape_batch
from lambdas.shared.item_change import ItemTypeIndex
from tests.unit.items.records import item_types, patient, record, registry_key

INDEX = ItemTypeIndex(item_types())
TABLE = "watershed-patient-activity"


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("ACTIVITY_TABLE", TABLE)
    module._dynamodb.cache_clear()
    with mock_aws():
        client: Any = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "patientId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "patientId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client
    module._dynamodb.cache_clear()


def event(*changes: dict[str, Any]) -> dict[str, Any]:
    """Every event of the changes, as the queues deliver them."""
    shaped = shape_batch(changes, INDEX)
    return {
        "Records": [
            {"messageId": f"m{index}", "body": json.dumps({"detail": each})}
            for index, each in enumerate(shaped)
        ]
    }


def enrolled(sequence: int, at: int) -> dict[str, Any]:
    return record(sequence, registry_key(), patient(), at=1_772_000_000 + at)


def activity(dynamodb: Any) -> dict[str, dict[str, str]]:
    items = dynamodb.scan(TableName=TABLE)["Items"]
    return {each["patientId"]["S"]: {name: value["S"] for name, value in each.items()} for each in items}


def test_the_latest_change_is_kept_whatever_comes_after(dynamodb: Any) -> None:
    assert handler(event(enrolled(2, 60)), None) == {"batchItemFailures": []}
    kept = activity(dynamodb)
    assert kept["p1"] == {
        "patientId": "p1",
        "lastChangedAt": "2026-02-25T06:14:20.000Z",
        "lastEventId": "event-2",
        "lastChangeType": "PatientInsert",
        "lastItemType": "Patient",
        "lastTableName": "watershed-registry",
    }
    handler(event(enrolled(1, 0)), None)
    handler(event(enrolled(2, 60)), None)
    assert activity(dynamodb) == kept
    handler(event(enrolled(3, 61)), None)
    assert activity(dynamodb)["p1"]["lastEventId"] == "event-3"


def test_both_events_of_one_change_give_the_same_in_any_order(dynamodb: Any) -> None:
    both = event(record(1, registry_key(), {"itemType": {"S": "Address"}}, patient()))["Records"]
    assert len(both) == 2
    seen = []
    for order in (both, both[::-1]):
        for each in order:
            handler({"Records": [each]}, None)
        seen.append(activity(dynamodb))
        dynamodb.delete_item(TableName=TABLE, Key={"patientId": {"S": "p1"}})
    assert seen[0] == seen[1]
    assert seen[0]["p1"]["lastChangeType"] == "PatientRemove"


def test_only_what_failed_is_delivered_again(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = record(5, registry_key("p2"), patient())
    batch = event(enrolled(1, 0), other)
    batch["Records"].append({"messageId": "junk", "body": "no JSON"})
    assert handler(batch, None) == {"batchItemFailures": [{"itemIdentifier": "junk"}]}
    monkeypatch.setenv("ACTIVITY_TABLE", "no-such-table")
    assert handler(event(enrolled(9, 9), other), None) == {
        "batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]
    }
    assert set(activity(dynamodb)) == {"p1", "p2"}
