"""See whether a HealthLake export has ended, and tell the state machine that waits for it.

Triggers, either of which may come late, twice or out of order:

- the SQS queue of delayed polls, one message a batch: `{"jobId": "…", "poll": 0}`. A poll of a running
  export queues the next;
- EventBridge, source `aws.healthlake`, `Export Job Completed` and its like: `{"detail": {"jobId": "…"}}`.

Environment: HEALTHLAKE_ENDPOINT, DATASTORE_ID, EXPORTS_BUCKET, STATE_TABLE, POLL_QUEUE_URL; and, with
their defaults, MANIFEST_PREFIX (`manifests/`), POLL_DELAY_SECONDS (30), LEASE_SECONDS (3600).

An export that is done has its manifest written under `<MANIFEST_PREFIX><job id>/`: `_manifest.json`, and
`files.json`, the same files as a plain list for the state machine to map over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3

from lambdas.shared.export_manifest import ExportRun, UnknownFileError, all_files, manifest
from lambdas.shared.export_state import ExportState, JobRecord
from lambdas.shared.healthlake_client import (
    DONE,
    FAILED,
    ExportDescription,
    HealthLake,
    UnreadableReplyError,
    health_lake,
)
from lambdas.shared.healthlake_http import (
    HealthLakeError,
    HealthLakeRefusedError,
    HealthLakeThrottledError,
    HealthLakeUnavailableError,
)
from lambdas.shared.logger import make_logger
from lambdas.shared.task_callback import TaskCallback

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

logger = make_logger("poll_export", "job_id", "poll", "job_status", "error_name", "files", "outcome")

_HEALS: Final = (HealthLakeThrottledError, HealthLakeUnavailableError, UnreadableReplyError)
_FAILURES: Final = {
    "FAILED": ("ExportFailed", "HealthLake's export job failed. See its message in the HealthLake console."),
    "CANCEL_COMPLETED": ("ExportCancelled", "The export job was cancelled."),
    "CANCEL_FAILED": ("ExportCancelFailed", "The export job was to be cancelled, and that failed."),
}


@dataclass(frozen=True)
class Settings:
    """The function's environment, read once."""

    datastore_id: str
    bucket: str
    manifest_prefix: str
    poll_queue_url: str
    poll_delay_seconds: int
    lease_seconds: int


@dataclass(frozen=True)
class Poller:
    """Polls exports; its parts are passed in so that tests can choose them."""

    settings: Settings
    healthlake: HealthLake
    state: ExportState
    callback: TaskCallback
    sqs: SQSClient
    s3: S3Client

    def poll(self, job_id: str, number: int | None) -> None:
        """Look at one export. `number` counts its polls; None where an event asks, which queues no other."""
        job = self.state.find_job(job_id)
        if job is None:
            # Another's export, or one whose start is not recorded yet: its own poll is still to come.
            logger.info("not an export of ours", job_id=job_id, outcome="dropped")
            return
        try:
            description = self.healthlake.describe_export(job_id)
        except HealthLakeRefusedError as error:
            logger.error("export cannot be described", job_id=job_id, error_name=error.name)
            self._fail(job, f"HealthLake.{error.name}", str(error))
            return
        except _HEALS as error:
            logger.warning("export not described yet", job_id=job_id, error_name=type(error).__name__)
            self._wait(job, number)
            return
        logger.info("export polled", job_id=job_id, job_status=description.status, poll=number)
        if description.status in DONE:
            self._finish(job, description)
        elif description.status in FAILED:
            self._fail(job, *_FAILURES[description.status])
        else:  # running, being cancelled, or in a state that HealthLake does not have today
            self._wait(job, number)

    def _finish(self, job: JobRecord, description: ExportDescription) -> None:
        run = ExportRun(
            job.job_id, self.settings.datastore_id, job.submitted_at, job.mode, job.types, job.since
        )
        try:
            written = manifest(run, description)
        except UnknownFileError as error:
            self._fail(job, "UnknownFile", str(error))
            return
        files = all_files(written)
        folder = f"{self.settings.manifest_prefix}{job.job_id}/"
        self._put(f"{folder}_manifest.json", written)
        self._put(f"{folder}files.json", files)
        complete = description.status == "COMPLETED" and not written["errors"]
        waited = self.callback.succeed(
            job.task_token,
            {
                "jobId": job.job_id,
                "jobStatus": description.status,
                "mode": job.mode,
                "submittedAt": job.submitted_at,
                "startedAt": job.started_at or job.submitted_at,
                "manifestKey": f"{folder}_manifest.json",
                "filesKey": f"{folder}files.json",
                "fileCount": len(files),
                "errorCount": len(written["errors"]),
                "movesWatermark": job.moves_watermark and (complete or job.accept_errors),
            },
        )
        outcome = "told" if waited else "already told"
        logger.info("export done", job_id=job.job_id, files=len(files), outcome=outcome)

    def _put(self, key: str, content: object) -> None:
        self.s3.put_object(
            Bucket=self.settings.bucket,
            Key=key,
            Body=json.dumps(content).encode(),
            ContentType="application/json",
        )

    def _fail(self, job: JobRecord, error: str, cause: str) -> None:
        # Forgotten first: who runs the execution again must not find this job and fail with it.
        self.state.forget_start(job.start_name)
        self.callback.fail(job.task_token, error, cause)

    def _wait(self, job: JobRecord, number: int | None) -> None:
        if not self.callback.heartbeat(job.task_token):
            self._cancel(job)
            return
        self.state.renew_lease(job.execution_arn, self.settings.lease_seconds)
        if number is None or number < job.polls:
            return  # an event, or a duplicate of a poll that has queued the next one already
        self.sqs.send_message(
            QueueUrl=self.settings.poll_queue_url,
            MessageBody=json.dumps({"jobId": job.job_id, "poll": number + 1}),
            DelaySeconds=min(900, self.settings.poll_delay_seconds),
        )
        self.state.count_poll(job, number)

    def _cancel(self, job: JobRecord) -> None:
        """Nobody waits for this export any more; it must not hold the only place for the next one."""
        try:
            self.healthlake.cancel_export(job.job_id)
        except HealthLakeError as error:  # it may have ended just now; else it will by itself
            logger.warning("orphan not cancelled", job_id=job.job_id, error_name=error.name)
            return
        logger.info("orphan cancelled", job_id=job.job_id, outcome="cancelled")


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Lambda's entry. Raises on a message that is none, which SQS then moves to the dead-letter queue."""
    poller = make_poller()
    for record in event.get("Records", ()):
        message = json.loads(record["body"])
        poller.poll(str(message["jobId"]), int(message["poll"]))
    if "detail" in event:
        poller.poll(str(event["detail"]["jobId"]), None)


@cache
def make_poller() -> Poller:
    """The poller that the environment describes; kept while the function is warm."""
    env = os.environ
    return Poller(
        settings=Settings(
            datastore_id=env["DATASTORE_ID"],
            bucket=env["EXPORTS_BUCKET"],
            manifest_prefix=env.get("MANIFEST_PREFIX", "manifests/"),
            poll_queue_url=env["POLL_QUEUE_URL"],
            poll_delay_seconds=int(env.get("POLL_DELAY_SECONDS", "30")),
            lease_seconds=int(env.get("LEASE_SECONDS", "3600")),
        ),
        healthlake=health_lake(),
        state=ExportState(boto3.client("dynamodb"), env["STATE_TABLE"]),
        callback=TaskCallback(boto3.client("stepfunctions")),
        sqs=boto3.client("sqs"),
        s3=boto3.client("s3"),
    )
