"""What the export functions remember in the state table (key `id`).

| id | holds |
| --- | --- |
| `RUN` | the lock (`ownerArn`, `leaseUntil`) and the watermark (`lastRunTime`); the state machine owns it |
| `START#<name>` | one attempt to start an export per execution: `claimUntil`, `attempts`, `jobId` |
| `JOB#<job id>` | a running export: its task token, what was asked, how often it was polled |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEEP: Final = timedelta(days=30)
"""How long finished attempts and jobs stay: longer than any message can be late (SQS keeps 14 days)."""


@dataclass(frozen=True)
class StartClaim:
    """The right to start an export. `job_id`: it was started before; `repeated`: it may have been."""

    job_id: str | None
    repeated: bool
    first_attempt_at: str


@dataclass(frozen=True)
class JobRecord:
    """A started export and the task that waits for it. `moves_watermark`: nothing was left out on purpose.

    `started_at` is when the run that ordered it began: what the watermark becomes.
    """

    job_id: str
    task_token: str
    execution_arn: str
    start_name: str
    submitted_at: str
    mode: str
    types: tuple[str, ...]
    since: str
    moves_watermark: bool
    accept_errors: bool
    started_at: str = ""
    polls: int = 0


@dataclass(frozen=True)
class ExportState:
    """The state table."""

    dynamodb: DynamoDBClient
    table: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def claim_start(self, name: str, seconds: int) -> StartClaim | None:
        """Claim the start of the export called `name` for so many seconds; None while another has it."""
        now = self.now()
        try:
            reply = self.dynamodb.update_item(
                TableName=self.table,
                Key={"id": {"S": f"START#{name}"}},
                UpdateExpression="SET claimUntil = :until, expiresAt = :expires,"
                " firstAttemptAt = if_not_exists(firstAttemptAt, :now) ADD attempts :one",
                ConditionExpression="attribute_not_exists(claimUntil) OR claimUntil < :now",
                ExpressionAttributeValues={
                    ":until": {"S": iso(now + timedelta(seconds=seconds))},
                    ":now": {"S": iso(now)},
                    ":expires": _expires(now),
                    ":one": {"N": "1"},
                },
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if _condition_failed(error):
                return None
            raise
        item = reply["Attributes"]
        return StartClaim(
            job_id=item["jobId"]["S"] if "jobId" in item else None,
            repeated=int(item["attempts"]["N"]) > 1,
            first_attempt_at=item["firstAttemptAt"]["S"],
        )

    def release_start(self, name: str) -> None:
        """Let the next attempt claim at once: this one has ended, whatever came of it."""
        self._update(f"START#{name}", "REMOVE claimUntil", {})

    def forget_start(self, name: str) -> None:
        """The export failed; whoever runs this execution again starts a new one."""
        self._update(f"START#{name}", "REMOVE jobId, claimUntil, firstAttemptAt", {})

    def record_job(self, job: JobRecord) -> None:
        """Remember a started job, so that events find its task; the newest token of a job wins."""
        self.dynamodb.put_item(
            TableName=self.table,
            Item={
                "id": {"S": f"JOB#{job.job_id}"},
                "taskToken": {"S": job.task_token},
                "executionArn": {"S": job.execution_arn},
                "startName": {"S": job.start_name},
                "submittedAt": {"S": job.submitted_at},
                "mode": {"S": job.mode},
                "types": {"L": [{"S": name} for name in job.types]},
                "since": {"S": job.since},
                "movesWatermark": {"BOOL": job.moves_watermark},
                "acceptErrors": {"BOOL": job.accept_errors},
                "startedAt": {"S": job.started_at},
                "polls": {"N": str(job.polls)},
                "expiresAt": _expires(self.now()),
            },
        )
        self._update(f"START#{job.start_name}", "SET jobId = :job", {":job": {"S": job.job_id}})

    def find_job(self, job_id: str) -> JobRecord | None:
        """The job, or None where it is not one of ours (or not recorded yet)."""
        reply = self.dynamodb.get_item(
            TableName=self.table, Key={"id": {"S": f"JOB#{job_id}"}}, ConsistentRead=True
        )
        item = reply.get("Item")
        if item is None:
            return None
        return JobRecord(
            job_id=job_id,
            task_token=item["taskToken"]["S"],
            execution_arn=item["executionArn"]["S"],
            start_name=item["startName"]["S"],
            submitted_at=item["submittedAt"]["S"],
            mode=item["mode"]["S"],
            types=tuple(name["S"] for name in item["types"]["L"]),
            since=item["since"]["S"],
            moves_watermark=item["movesWatermark"]["BOOL"],
            accept_errors=item["acceptErrors"]["BOOL"],
            started_at=item["startedAt"]["S"],
            polls=int(item["polls"]["N"]),
        )

    def count_poll(self, job: JobRecord, poll: int) -> None:
        """Record that poll number `poll` has queued the next one; a duplicate of it will queue none."""
        self._update(
            f"JOB#{job.job_id}",
            "SET polls = :next",
            {":next": {"N": str(poll + 1)}, ":this": {"N": str(poll)}},
            condition="polls = :this",
        )

    def renew_lease(self, execution_arn: str, seconds: int) -> bool:
        """Extend the lock of this execution; False where it has lost it."""
        return self._update(
            "RUN",
            "SET leaseUntil = :until",
            {":until": {"S": iso(self.now() + timedelta(seconds=seconds))}, ":me": {"S": execution_arn}},
            condition="ownerArn = :me",
        )

    def _update(self, key: str, expression: str, values: dict[str, Any], condition: str = "") -> bool:
        optional: dict[str, Any] = {}
        if values:
            optional["ExpressionAttributeValues"] = values
        if condition:
            optional["ConditionExpression"] = condition
        try:
            self.dynamodb.update_item(
                TableName=self.table, Key={"id": {"S": key}}, UpdateExpression=expression, **optional
            )
        except ClientError as error:
            if _condition_failed(error):
                return False
            raise
        return True


def iso(moment: datetime) -> str:
    """`2026-01-31T08:15:00.123Z`: milliseconds and Z, as Step Functions writes times, so texts compare."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _expires(now: datetime) -> Any:
    return {"N": str(int((now + _KEEP).timestamp()))}


def _condition_failed(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
