"""A stream's records survive a restart, so that its readers miss nothing written before or after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator

pytestmark = pytest.mark.e2e


def _put(dynamodb: Any, key: str) -> None:
    dynamodb.put_item(TableName="readings", Item={"id": {"S": key}})


def _stream_keys(emulator: Emulator, arn: str) -> list[str]:
    streams = emulator.client("dynamodbstreams")
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]


def test_a_stream_goes_on_after_a_restart(tmp_path: Path) -> None:
    with Emulator(tmp_path / "emulator") as emulator:
        dynamodb = emulator.client("dynamodb")
        arn = dynamodb.create_table(
            TableName="readings",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]
        _put(dynamodb, "before")
    with Emulator(tmp_path / "emulator") as emulator:
        _put(emulator.client("dynamodb"), "after")
        assert _stream_keys(emulator, arn) == ["before", "after"]
