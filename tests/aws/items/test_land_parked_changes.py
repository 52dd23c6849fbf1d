"""What a pipe gave up on lands as the direct sink lands it, against moto's streams and S3.

The message is that of "Amazon EventBridge Pipes error handling and troubleshooting".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from lambdas.land_parked_changes import handler as module
from lambdas.land_parked_changes.handler import handler
from lambdas.land_parked_changes.parked import NotADeadLetterError, as_delivered, parse
from tests.aws.items.landing import objects
from tests.unit.items.records import REGISTRY, patient, registry_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def stream(s3: S3Client) -> Iterator[tuple[str, str, list[str]]]:
    """The ARN and the shard of a stream with five changes, and their sequence numbers."""
    module._streams.cache_clear()
    dynamodb: Any = boto3.client("dynamodb")
    names = ("id", "sk")
    arn = dynamodb.create_table(
        TableName=REGISTRY,
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]["LatestStreamArn"]
    for number in range(5):
        item = {**registry_key(), **patient(photo={"B": b"\x00\xff"}, riskScore={"N": f"{number}.50"})}
        dynamodb.put_item(TableName=REGISTRY, Item=item)
    streams = boto3.client("dynamodbstreams")
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    yield arn, shard["ShardId"], [each["dynamodb"]["SequenceNumber"] for each in records]
    module._streams.cache_clear()


def dead_letter(arn: str, shard: str, first: str, last: str, count: int) -> dict[str, Any]:
    letter = {
        "context": {
            "partnerResourceArn": "arn:aws:pipes:us-east-1:000000000000:pipe/p",
            "condition": "RetryAttemptsExhausted",
        },
        "version": "1.0",
        "timestamp": "2026-03-01T00:00:00Z",
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": first,
            "endSequenceNumber": last,
            "approximateArrivalOfFirstRecord": "2026-03-01T00:00:00Z",
            "approximateArrivalOfLastRecord": "2026-03-01T00:00:00Z",
            "batchSize": count,
            "streamArn": arn,
        },
    }
    return {"Records": [{"messageId": "m1", "body": json.dumps(letter)}]}


def test_the_changes_between_the_two_numbers_land(s3: S3Client, stream: tuple[str, str, list[str]]) -> None:
    arn, shard, numbers = stream
    event = dead_letter(arn, shard, numbers[1], numbers[3], 3)
    assert handler(event, None) == {"batchItemFailures": []}
    ((key, lines),) = objects(s3).items()
    assert key.startswith("items/table_name=watershed-registry/item_type=Patient/year=")
    assert [each["sequence_number"] for each in lines] == numbers[1:4]
    assert lines[0]["new_image"]["photo"] == "AP8="
    assert lines[0]["changed_at"].startswith("20")
    handler(event, None)
    assert len(objects(s3)) == 1, "a message that comes again changes nothing"


def test_changes_that_are_gone_are_not_passed_over(s3: S3Client, stream: tuple[str, str, list[str]]) -> None:
    arn, shard, numbers = stream
    for letter in (
        dead_letter(arn, shard, numbers[3], numbers[4], 7),
        dead_letter(arn, "shardId-gone", numbers[0], numbers[1], 2),
        {"Records": [{"messageId": "m1", "body": "{}"}]},
    ):
        assert handler(letter, None) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert objects(s3) == {}


def test_a_record_of_the_api_becomes_one_as_lambda_passes_it() -> None:
    record = {
        "eventID": "1",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime(2026, 3, 1, tzinfo=UTC),
            "NewImage": {"b": {"B": b"\x01"}, "bs": {"BS": [b"\x02"]}},
        },
    }
    assert as_delivered(record, "arn") == {
        "eventID": "1",
        "eventSourceARN": "arn",
        "dynamodb": {
            "ApproximateCreationDateTime": 1772323200.0,
            "NewImage": {"b": {"B": "AQ=="}, "bs": {"BS": ["Ag=="]}},
        },
    }


def test_a_message_of_something_else_is_refused() -> None:
    for body in ("no JSON", "[]", '{"DDBStreamBatchInfo": {"shardId": "s"}}'):
        with pytest.raises(NotADeadLetterError):
            parse(body)
