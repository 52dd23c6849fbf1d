"""What a pipe gave up on: the message it leaves, and the records that the message points at."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient


class NotADeadLetterError(ValueError):
    """Raised when a message is not what a pipe from a DynamoDB stream leaves."""


class RecordsGoneError(RuntimeError):
    """Raised when the stream has not all the records that a message points at: it keeps them for 24 hours."""

    def __init__(self, parked: Parked, found: int) -> None:
        super().__init__(
            f"{found} of {parked.count} changes found in {parked.shard_id} from {parked.first}: take the "
            "items from an export of the table"
        )


@dataclass(frozen=True, slots=True)
class Parked:
    """A run of records in a shard; first and last are sequence numbers, both included."""

    stream_arn: str
    shard_id: str
    first: str
    last: str
    count: int


def parse(body: str) -> Parked:
    """The records that a pipe's dead letter points at.

    Raises
    ------
    NotADeadLetterError
    """
    try:
        batch = json.loads(body)["DDBStreamBatchInfo"]
        return Parked(
            stream_arn=batch["streamArn"],
            shard_id=batch["shardId"],
            first=str(int(batch["startSequenceNumber"])),
            last=str(int(batch["endSequenceNumber"])),
            count=int(batch["batchSize"]),
        )
    except (KeyError, TypeError, ValueError):
        raise NotADeadLetterError("a message must have the DDBStreamBatchInfo of a pipe") from None


def read(streams: DynamoDBStreamsClient, parked: Parked) -> list[dict[str, Any]]:
    """The records as Lambda and pipes pass them.

    Raises
    ------
    RecordsGoneError : fewer than the message says
    botocore.exceptions.ClientError : `TrimmedDataAccessException` where all of them are gone
    """
    found = list(_between(streams, parked))
    if len(found) < parked.count:
        raise RecordsGoneError(parked, len(found))
    return [as_delivered(record, parked.stream_arn) for record in found]


def _between(streams: DynamoDBStreamsClient, parked: Parked) -> Iterator[Any]:
    iterator: str | None = streams.get_shard_iterator(
        StreamArn=parked.stream_arn,
        ShardId=parked.shard_id,
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=parked.first,
    )["ShardIterator"]
    found = 0
    while iterator and found < parked.count:
        answer = streams.get_records(ShardIterator=iterator)
        for record in answer["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > int(parked.last):
                return
            found += 1
            yield record
        if not answer["Records"]:
            # The end of what is in the shard now; what was given up on lies before it.
            return
        iterator = answer.get("NextShardIterator")


def as_delivered(record: Any, stream_arn: str) -> dict[str, Any]:
    """A record of the API in the shape in which it is delivered: base64 and epoch seconds, and the ARN."""
    plain: dict[str, Any] = json.loads(json.dumps(record, default=_plain))
    return {**plain, "eventSourceARN": stream_arn}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(type(value).__name__)
