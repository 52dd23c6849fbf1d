"""Note that resources changed at HealthLake, and have each type searched once per window of time.

Trigger: the SQS queue of CloudTrail's events of FHIR calls (which hide the resource's id), in batches, with
`ReportBatchItemFailures`. For each type that a batch names the window is written down and its execution of
the state machine `fhir-changes` started; where another batch has done so, that is all the same.

Environment: DATASTORE_ID, CHANGES_TABLE, MACHINE_ARN, CHANGE_WINDOW_SECONDS, CHANGE_SETTLE_SECONDS,
DELETE_WINDOW_SECONDS, DELETE_SETTLE_SECONDS.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.note_fhir_changes.windows import (
    CHANGE,
    DELETE,
    Call,
    Lengths,
    NotACallError,
    Window,
    read_call,
    windows,
)
from lambdas.shared.batch_response import BatchResponse, deliver_again
from lambdas.shared.export_state import iso
from lambdas.shared.logger import make_logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient

logger = make_logger("note_fhir_changes", "messages", "calls", "windows", "started", "failed", "error_name")

_KEEP: Final = timedelta(days=7)


@dataclass(frozen=True)
class Noter:
    """Writes windows down and starts their searches; its parts are passed in for tests."""

    dynamodb: DynamoDBClient
    machines: SFNClient
    table: str
    machine_arn: str
    datastore_id: str
    lengths: dict[str, Lengths]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def note(self, records: list[Mapping[str, Any]]) -> set[str]:
        """Note a batch of SQS records; the ids of the messages that must come again."""
        calls: list[Call] = []
        failed: set[str] = set()
        for record in records:
            try:
                call = read_call(record["body"], self.datastore_id)
            except NotACallError:
                # By way of the dead-letter queue to a person: it holds no resource, so quarantine no place.
                failed.add(record["messageId"])
                continue
            if call is not None:
                calls.append(call)
        found = windows(calls, self.now(), self.lengths)
        try:
            started = sum(self._open(window) for window in found)
        except (ClientError, BotoCoreError) as error:
            logger.error("calls not noted", error_name=type(error).__name__, messages=len(records))
            return {record["messageId"] for record in records}
        logger.info(
            "calls noted",
            messages=len(records),
            calls=len(calls),
            windows=len(found),
            started=started,
            failed=len(failed),
        )
        return failed

    def _open(self, window: Window) -> bool:
        """The window's beginning is written before its search can read it. Whether this started it."""
        self._reach_back(window)
        try:
            self.machines.start_execution(
                stateMachineArn=self.machine_arn,
                name=window.name,
                input=json.dumps(
                    {
                        "kind": window.kind,
                        "resourceType": window.resource_type,
                        "window": f"WINDOW#{window.name}",
                        "runAt": iso(window.run_at),
                        "found": {"page": ""},
                    }
                ),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
                return False
            raise
        return True

    def _reach_back(self, window: Window) -> None:
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key={"id": {"S": f"WINDOW#{window.name}"}},
                UpdateExpression="SET since = :since, expiresAt = :expires",
                ConditionExpression="attribute_not_exists(since) OR since > :since",
                ExpressionAttributeValues={
                    ":since": {"S": iso(window.since)},
                    ":expires": {"N": str(int((self.now() + _KEEP).timestamp()))},
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise


def handler(event: Mapping[str, Any], _context: object) -> BatchResponse:
    """Lambda's entry; the response names the messages to deliver again."""
    failed = make_noter().note(event["Records"])
    return deliver_again(sorted(failed))


@cache
def make_noter() -> Noter:
    """The noter that the environment describes; kept while the function is warm."""
    env = os.environ

    def lengths(kind: str) -> Lengths:
        return Lengths(
            timedelta(seconds=float(env[f"{kind}_WINDOW_SECONDS"])),
            timedelta(seconds=float(env[f"{kind}_SETTLE_SECONDS"])),
        )

    return Noter(
        boto3.client("dynamodb"),
        boto3.client("stepfunctions"),
        env["CHANGES_TABLE"],
        env["MACHINE_ARN"],
        env["DATASTORE_ID"],
        {CHANGE: lengths("CHANGE"), DELETE: lengths("DELETE")},
    )
