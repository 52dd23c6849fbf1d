"""An erasure, asked for as on AWS: a request in the landing bucket, a run of the job, its report."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from glue_jobs.erase import REQUESTS, purge, report_key
from infra.settings import Settings
from infra.workflow import ERASE, JOBS
from local.errors import LocalError
from local.workflow_run import latest_workflow_runs

_POLL_SECONDS = 0.5
_RUNNING = ("STARTING", "RUNNING", "STOPPING", "WAITING")


def require_idle(glue: Any, settings: Settings) -> None:
    """Nothing may write while files that belong to no snapshot are removed.

    Raises
    ------
    LocalError : naming the job that runs, or the workflow, whose run starts jobs yet to come
    """
    if any(not run.ended for run in latest_workflow_runs(glue, settings.prefix)):
        raise LocalError(
            f"A run of the workflow {settings.prefix} goes on, and files of its jobs would be taken for strays.",
            "Wait for it: watershed status",
        )
    for name in JOBS:
        runs = glue.get_job_runs(JobName=settings.name(name), MaxResults=5)["JobRuns"]
        if any(run["JobRunState"] in _RUNNING for run in runs):
            raise LocalError(
                f"Job {settings.name(name)} is running, and its files would be taken for strays.",
                "Wait for it: watershed status",
            )


def start_erasure(s3: Any, glue: Any, settings: Settings, request: Mapping[str, str]) -> tuple[str, str]:
    """Ask for an erasure; the request's key and the job run's id.

    The versions that S3 keeps are purged afterwards (``finish_erasure``), when what Spark wrote is in S3.
    """
    key = f"{REQUESTS}{uuid.uuid4().hex}.json"
    s3.put_object(Bucket=settings.bucket("landing"), Key=key, Body=json.dumps(dict(request)).encode())
    arguments = {"--request": key, "--purge_bucket_versions": "false"}
    started = glue.start_job_run(JobName=settings.name(ERASE), Arguments=arguments)
    return key, str(started["JobRunId"])


def await_erasure(glue: Any, settings: Settings, run_id: str, note: Callable[[str], None]) -> None:
    """Wait for the run's end.

    Raises
    ------
    LocalError : it failed; the request stays, and a repetition does what is left
    """
    while True:
        run = glue.get_job_run(JobName=settings.name(ERASE), RunId=run_id)["JobRun"]
        if run["JobRunState"] == "SUCCEEDED":
            return
        if run["JobRunState"] not in _RUNNING:
            raise LocalError(
                f"The erasure ended {run['JobRunState']}: {run.get('ErrorMessage', 'no error')}",
                "Repeat the command: it does what is left",
            )
        note(str(run["JobRunState"]).lower())
        time.sleep(_POLL_SECONDS)


def finish_erasure(s3: Any, settings: Settings, request_key: str) -> dict[str, Any]:
    """Purge the versions that still hold the subject; the job's report, complete."""
    landing, lake = settings.bucket("landing"), settings.bucket("lake")
    body = s3.get_object(Bucket=landing, Key=report_key(request_key))["Body"].read()
    report: dict[str, Any] = json.loads(body)
    named = SimpleNamespace(objects=report["objects"], sources=report["sources"])
    report["versions"] = purge(s3, named, f"s3://{landing}/", f"s3://{lake}/", request_key)
    return report
