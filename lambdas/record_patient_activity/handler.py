"""Keeps, per patient, when an item that concerns them last changed, and what that change was.

An example of what the change bus is for, and of use by itself: who has not been heard of for 30 days is one
scan of a small table, seconds after the fact. Triggered by the queues behind the bus's rules.

Environment
-----------
ACTIVITY_TABLE : name of the table with key `patientId` (required)
LOG_LEVEL : INFO where unset
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lambdas.record_patient_activity.activity import Activity, read_batch
from lambdas.shared.batch_response import BatchResponse, deliver_again
from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import error_type, setting

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_logger = make_logger(
    "record_patient_activity", "messages", "patients", "newer", "unreadable", "failed", "error_types"
)


def handler(event: Mapping[str, Any], _context: object) -> BatchResponse:
    """Record the activities of one batch; the response names the messages to deliver again.

    Raises
    ------
    MissingSettingError
    """
    table = setting("ACTIVITY_TABLE")
    messages = event["Records"]
    batch = read_batch(messages)
    failed = set(batch.unreadable)
    errors: set[str] = set()
    newer = 0
    for patient, latest in batch.latest.items():
        try:
            newer += _record(table, patient, latest.activity)
        except Exception as error:
            failed.update(latest.message_ids)
            errors.add(error_type(error))
    report = _logger.error if failed else _logger.info
    report(
        "batch recorded",
        messages=len(messages),
        patients=len(batch.latest),
        newer=newer,
        unreadable=len(batch.unreadable),
        failed=len(failed),
        error_types=sorted(errors),
    )
    return deliver_again(sorted(failed))


def _record(table: str, patient: str, activity: Activity) -> bool:
    """Write the activity unless the table knows a later one; whether it was written."""
    from botocore.exceptions import ClientError

    item = {
        "patientId": patient,
        "lastChangedAt": activity.changed_at,
        "lastEventId": activity.event_id,
        "lastChangeType": activity.change_type,
        "lastItemType": activity.item_type,
        "lastTableName": activity.table_name,
    }
    try:
        _dynamodb().put_item(
            TableName=table,
            Item={name: {"S": value} for name, value in item.items()},
            ConditionExpression="attribute_not_exists(patientId) OR lastChangedAt < :at"
            " OR (lastChangedAt = :at AND (lastEventId < :id"
            " OR (lastEventId = :id AND lastChangeType < :type)))",
            ExpressionAttributeValues={
                ":at": {"S": activity.changed_at},
                ":id": {"S": activity.event_id},
                ":type": {"S": activity.change_type},
            },
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
            return False
        raise
    return True


@lru_cache(maxsize=1)
def _dynamodb() -> DynamoDBClient:
    import boto3

    client: DynamoDBClient = boto3.client("dynamodb")
    return client
