"""`StartJobRun` runs the job.

The emulator reports every Spark job as `SUCCEEDED` without running it. Here the run is handed to the Glue
host, and the record that `GetJobRun` shows goes from `STARTING` over `RUNNING` to the end that the host
reports. As on AWS, a run beyond `MaxConcurrentRuns` (1 where the job does not say) is refused, and
`BatchStopJobRun` asks a run to stop, which is then `STOPPING`; and the end of a run is told on the default event
bus as a `Glue Job State Change`.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Iterable
from typing import Any

from local.emulator import context
from local.emulator.glue_host import JobEnd
from local.emulator.refusal import refusal

_log = logging.getLogger("watershed.glue")

ENDED = ("SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED")

_records = threading.RLock()
"""Requests have a thread each, and ends come from the host's: a look at a record and its change belong together."""


def _going(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [run for run in runs if run["JobRunState"] not in ENDED]


def finish(run: dict[str, Any], state: str, error_message: str) -> None:
    """Record the end of a run."""
    now = int(time.time())
    with _records:
        run["ErrorMessage"] = error_message
        run["CompletedOn"] = now
        run["LastModifiedOn"] = now
        run["ExecutionTime"] = now - run["StartedOn"]
        # Last, since whoever polls takes the end of the state for the end of the record.
        run["JobRunState"] = state


def ask_to_stop(run: dict[str, Any]) -> bool:
    """Whether it was going, and is now `STOPPING`."""
    with _records:
        if run["JobRunState"] in ENDED:
            return False
        run["JobRunState"] = "STOPPING"
        return True


def _announce(run: dict[str, Any]) -> None:
    from ministack.services import eventbridge

    detail = {
        "jobName": run["JobName"],
        "jobRunId": run["Id"],
        "state": run["JobRunState"],
        "severity": "INFO" if run["JobRunState"] == "SUCCEEDED" else "ERROR",
        "message": run["ErrorMessage"],
    }
    entry = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _start_job_run(request: dict[str, Any]) -> Any:
    from ministack.core.responses import json_response
    from ministack.services import glue

    name = request.get("JobName", "")
    job = glue._jobs.get(name)
    if job is None:
        return refusal("EntityNotFoundException", f"Job {name} not found")
    arguments = dict(request.get("Arguments") or {})
    run = _new_run(job, arguments, request.get("Timeout"))
    limit = int((job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns", 1))
    with _records:
        runs: list[dict[str, Any]] = glue._job_runs.setdefault(name, [])
        if len(_going(runs)) >= limit:
            return refusal("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}")
        # The newest first: that is the order in which GetJobRuns lists them.
        runs.insert(0, run)

    def on_start() -> None:
        with _records:
            if run["JobRunState"] == "STARTING":
                run["JobRunState"] = "RUNNING"
                run["LastModifiedOn"] = int(time.time())

    def on_end(end: JobEnd) -> None:
        finish(run, end.state, end.error_message)
        _announce(run)

    try:
        context.glue_host().start_job_run(job, run["Id"], arguments, on_start, on_end)
    except Exception as error:
        problem = f"The run could not be handed to the local Glue: {error}"
        _log.exception("%s", problem)
        finish(run, "ERROR", problem)
        return refusal("InternalServiceException", problem, 500)
    return json_response({"JobRunId": run["Id"]})


def _new_run(job: dict[str, Any], arguments: dict[str, str], timeout: int | None) -> dict[str, Any]:
    now = int(time.time())
    return {
        "Id": f"jr_{secrets.token_hex(32)}",
        "Attempt": 0,
        "JobName": job["Name"],
        "StartedOn": now,
        "LastModifiedOn": now,
        "CompletedOn": None,
        "JobRunState": "STARTING",
        "Arguments": arguments,
        "ErrorMessage": "",
        "PredecessorRuns": [],
        "ExecutionTime": 0,
        "Timeout": timeout or job.get("Timeout"),
        "WorkerType": job.get("WorkerType"),
        "NumberOfWorkers": job.get("NumberOfWorkers"),
        "SecurityConfiguration": job.get("SecurityConfiguration") or None,
        "GlueVersion": job.get("GlueVersion"),
        "LogGroupName": "/aws-glue/jobs",
    }


def _batch_stop_job_run(request: dict[str, Any]) -> Any:
    from ministack.core.responses import json_response
    from ministack.services import glue

    name = request.get("JobName", "")
    by_id = {run["Id"]: run for run in glue._job_runs.get(name, [])}
    stopped, errors = [], []
    for run_id in request.get("JobRunIds", []):
        run = by_id.get(run_id)
        if run is not None and ask_to_stop(run):
            context.glue_host().stop_job_run(run_id)
            stopped.append({"JobName": name, "JobRunId": run_id})
            continue
        code = "EntityNotFoundException" if run is None else "InvalidInputException"
        problem = "not found" if run is None else "has ended"
        detail = {"ErrorCode": code, "ErrorMessage": f"Job run {run_id} {problem}"}
        errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
    return json_response({"SuccessfulSubmissions": stopped, "Errors": errors})


def apply() -> None:
    from ministack.services import glue

    glue._start_job_run = _start_job_run
    glue._batch_stop_job_run = _batch_stop_job_run
