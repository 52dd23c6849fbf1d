"""Lands what a pipe to Firehose gave up on: a change that Firehose does not take, being over 1,000 KiB, or all
changes of a time when it took none.

Triggered by the queue into which the pipe puts, not the changes, but where they are in the stream, for 24
hours. They are read from there and landed as the direct sink lands them. One message an invocation: one that
fails is delivered again, and is then left in the queue's own dead-letter queue.

Environment
-----------
LANDING_BUCKET : name of the landing bucket (required)
LOG_LEVEL : INFO where unset
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lambdas.land_parked_changes.parked import parse, read
from lambdas.shared.batch_response import BatchResponse, deliver_again
from lambdas.shared.item_change import Landed
from lambdas.shared.landing_entries import batch_entries
from lambdas.shared.landing_object import landing_objects, write_once
from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import error_type, item_type_index, landed_by, landing_client, setting

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

_logger = make_logger(
    "land_parked_changes", "records", "objects", "quarantined", "reasons", "error_type", "message_id"
)


def handler(event: Mapping[str, Any], context: object) -> BatchResponse:
    """Land the changes that each message points at; the response names the messages to deliver again.

    Raises
    ------
    MissingSettingError
    """
    bucket = setting("LANDING_BUCKET")
    landed = Landed(datetime.now(UTC), landed_by(context, "land_parked_changes"))
    failed: list[str] = []
    for message in event["Records"]:
        try:
            _land(message["body"], bucket, landed)
        except Exception as error:
            _logger.exception(
                "changes not landed", error_type=error_type(error), message_id=message["messageId"]
            )
            failed.append(message["messageId"])
    return deliver_again(failed)


def _land(body: str, bucket: str, landed: Landed) -> None:
    records = read(_streams(), parse(body))
    entries, quarantined = batch_entries(records, item_type_index(), landed)
    objects = landing_objects(entries)
    for each in objects:
        write_once(landing_client(), bucket, each)
    _logger.info(
        "parked changes landed",
        records=len(records),
        objects=len(objects),
        quarantined=sum(quarantined.values()),
        reasons=quarantined,
    )


@lru_cache(maxsize=1)
def _streams() -> DynamoDBStreamsClient:
    import boto3

    client: DynamoDBStreamsClient = boto3.client("dynamodbstreams")
    return client
