"""Start a HealthLake export for the state machine that waits for it.

Trigger: the SQS queue of start messages, one message a batch::

    {"taskToken": "…", "executionArn": "…", "lastRunTime": "<ISO>" | "", "options":
     {"mode": "incremental" | "full", "types": [], "since": "<ISO>" | "", "acceptErrors": false,
      "redrive": "" | "<job id>"}, "startedAt": "<ISO>"}

Environment: HEALTHLAKE_ENDPOINT, DATASTORE_ID, EXPORTS_BUCKET, EXPORT_ROLE_ARN, EXPORT_KMS_KEY_ARN,
STATE_TABLE, START_QUEUE_URL, POLL_QUEUE_URL; and, with their defaults, EXPORT_PREFIX (`exports/`),
POLL_DELAY_SECONDS (30), WATERMARK_OVERLAP_SECONDS (300), LEASE_SECONDS (3600).

One execution starts one export, whatever is repeated or lost: the attempt is claimed in the state table
first, and an attempt that may have started one looks for it in HealthLake by its name. A refusal that
time heals puts the message back with a delay; one that it does not heal fails the task.

`redrive` names an export that has ended and did not land: nothing is exported, its files are landed.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3

from lambdas.shared.export_state import ExportState, JobRecord, StartClaim
from lambdas.shared.healthlake_client import ExportOrder, HealthLake, UnreadableReplyError, health_lake
from lambdas.shared.healthlake_http import (
    HealthLakeRefusedError,
    HealthLakeThrottledError,
    HealthLakeUnavailableError,
)
from lambdas.shared.logger import make_logger
from lambdas.shared.task_callback import TaskCallback
from lambdas.start_export.request import (
    MAX_ATTEMPTS,
    InvalidRequestError,
    StartRequest,
    export_since,
    read_message,
    retry_delay,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = make_logger("start_export", "job_id", "attempt", "delay_seconds", "error_name", "mode", "outcome")

_CLAIM_SECONDS: Final = 90
"""Longer than the function may run (60 s), so that a claim outlives only a crash."""
_HEALS: Final = (HealthLakeThrottledError, HealthLakeUnavailableError, UnreadableReplyError)


@dataclass(frozen=True)
class Settings:
    """The function's environment, read once."""

    output_uri: str
    kms_key_arn: str
    role_arn: str
    start_queue_url: str
    poll_queue_url: str
    poll_delay_seconds: int
    overlap: timedelta
    lease_seconds: int


@dataclass(frozen=True)
class Starter:
    """Starts exports; its parts are passed in so that tests can choose them."""

    settings: Settings
    healthlake: HealthLake
    state: ExportState
    callback: TaskCallback
    sqs: SQSClient
    chance: random.Random

    def start(self, request: StartRequest) -> None:
        """Start the export, or see to it that another attempt does, or fail the task."""
        if not self.callback.heartbeat(request.task_token):
            # The execution has ended: an export that it ordered would only be in the next one's way.
            logger.info("task no longer waits", outcome="dropped")
            return
        self.state.renew_lease(request.execution_arn, self.settings.lease_seconds)
        try:
            since = export_since(request, self.settings.overlap)
        except InvalidRequestError as error:
            self.callback.fail(request.task_token, "InvalidRequest", str(error))
            return
        if request.redrive:
            self._redrive(request)
            return
        claim = self.state.claim_start(request.name, _CLAIM_SECONDS)
        if claim is None:
            self._again(request, _CLAIM_SECONDS)
            return
        try:
            self._claimed(request, claim, since)
        finally:
            self.state.release_start(request.name)

    def _claimed(self, request: StartRequest, claim: StartClaim, since: str) -> None:
        try:
            job_id = claim.job_id or self._order(request, claim, since)
        except HealthLakeRefusedError as error:
            logger.error("export refused", error_name=error.name)
            self.callback.fail(request.task_token, f"HealthLake.{error.name}", str(error))
            return
        except _HEALS as error:
            self._later(request, error)
            return
        self.state.record_job(
            JobRecord(
                job_id=job_id,
                task_token=request.task_token,
                execution_arn=request.execution_arn,
                start_name=request.name,
                submitted_at=claim.first_attempt_at,
                mode=request.mode,
                types=request.types,
                since=since,
                moves_watermark=request.moves_watermark,
                accept_errors=request.accept_errors,
                started_at=request.started_at,
            )
        )
        self._poll_in(self.settings.poll_delay_seconds, job_id)
        logger.info("export started", job_id=job_id, mode=request.mode, attempt=request.attempt)

    def _redrive(self, request: StartRequest) -> None:
        """Let this task wait for an export that another run ordered; the poll finds it ended."""
        job = self.state.find_job(request.redrive)
        if job is None:
            self.callback.fail(
                request.task_token,
                "InvalidRequest",
                f"redrive names {request.redrive}, which is no export of the last 30 days",
            )
            return
        self.state.record_job(
            replace(
                job,
                task_token=request.task_token,
                execution_arn=request.execution_arn,
                start_name=request.name,
                accept_errors=request.accept_errors or job.accept_errors,
                polls=0,
            )
        )
        self._poll_in(0, job.job_id)
        logger.info("export to be landed again", job_id=job.job_id, mode=job.mode)

    def _poll_in(self, seconds: int, job_id: str) -> None:
        self.sqs.send_message(
            QueueUrl=self.settings.poll_queue_url,
            MessageBody=json.dumps({"jobId": job_id, "poll": 0}),
            DelaySeconds=min(900, seconds),
        )

    def _order(self, request: StartRequest, claim: StartClaim, since: str) -> str:
        if claim.repeated:
            found = self.healthlake.find_export(request.name)
            if found is not None:
                logger.info("export found again", job_id=found)
                return found
        settings = self.settings
        return self.healthlake.start_export(
            ExportOrder(
                job_name=request.name,
                output_uri=settings.output_uri,
                kms_key_arn=settings.kms_key_arn,
                role_arn=settings.role_arn,
                types=request.types,
                since=since,
            )
        )

    def _later(self, request: StartRequest, error: Exception) -> None:
        if request.attempt + 1 >= MAX_ATTEMPTS:
            name = getattr(error, "name", type(error).__name__)
            self.callback.fail(
                request.task_token, f"HealthLake.{name}", f"No export in {MAX_ATTEMPTS} attempts. {error}"
            )
            return
        logger.warning("export not started yet", error_name=getattr(error, "name", type(error).__name__))
        self._again(request, retry_delay(request.attempt, self.chance))

    def _again(self, request: StartRequest, seconds: int) -> None:
        again = replace(request, attempt=request.attempt + 1)
        self.sqs.send_message(
            QueueUrl=self.settings.start_queue_url,
            MessageBody=_message(again),
            DelaySeconds=min(900, seconds),
        )
        logger.info("start put back", attempt=again.attempt, delay_seconds=seconds)


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Lambda's entry. Raises on a message that is none, which SQS then moves to the dead-letter queue."""
    starter = make_starter()
    for record in event["Records"]:
        starter.start(read_message(record["body"]))


@cache
def make_starter() -> Starter:
    """The starter that the environment describes; kept while the function is warm."""
    env = os.environ
    return Starter(
        settings=Settings(
            output_uri=f"s3://{env['EXPORTS_BUCKET']}/{env.get('EXPORT_PREFIX', 'exports/')}",
            kms_key_arn=env["EXPORT_KMS_KEY_ARN"],
            role_arn=env["EXPORT_ROLE_ARN"],
            start_queue_url=env["START_QUEUE_URL"],
            poll_queue_url=env["POLL_QUEUE_URL"],
            poll_delay_seconds=int(env.get("POLL_DELAY_SECONDS", "30")),
            overlap=timedelta(seconds=int(env.get("WATERMARK_OVERLAP_SECONDS", "300"))),
            lease_seconds=int(env.get("LEASE_SECONDS", "3600")),
        ),
        healthlake=health_lake(),
        state=ExportState(boto3.client("dynamodb"), env["STATE_TABLE"]),
        callback=TaskCallback(boto3.client("stepfunctions")),
        sqs=boto3.client("sqs"),
        chance=random.Random(),
    )


def _message(request: StartRequest) -> str:
    return json.dumps(
        {
            "taskToken": request.task_token,
            "executionArn": request.execution_arn,
            "lastRunTime": request.last_run_time,
            "attempt": request.attempt,
            "startedAt": request.started_at,
            "options": {
                "mode": request.mode,
                "types": request.types,
                "since": request.since,
                "acceptErrors": request.accept_errors,
                "redrive": request.redrive,
            },
        }
    )
