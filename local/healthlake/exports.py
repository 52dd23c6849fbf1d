"""Export jobs: accepted in turn, run one at a time, their files in S3 under HealthLake's layout.

States and transitions are those of `JobStatus` in the HealthLake API. A job that was running when the
simulator stopped is run again from its beginning.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from lambdas.shared import fhir_text
from local.healthlake.clock import instant, now_ms
from local.healthlake.errors import NotFound, Throttled, ValidationError
from local.healthlake.faults import FaultPlan
from local.healthlake.store import Store, Window, chunks

STATES: Final = (
    "SUBMITTED",
    "QUEUED",
    "IN_PROGRESS",
    "COMPLETED_WITH_ERRORS",
    "COMPLETED",
    "FAILED",
    "CANCEL_SUBMITTED",
    "CANCEL_IN_PROGRESS",
    "CANCEL_COMPLETED",
    "CANCEL_FAILED",
)
_WAITING: Final = ("SUBMITTED", "QUEUED")
_CANCELLING: Final = ("CANCEL_SUBMITTED", "CANCEL_IN_PROGRESS")
_ENDED: Final = ("COMPLETED_WITH_ERRORS", "COMPLETED", "FAILED", "CANCEL_COMPLETED", "CANCEL_FAILED")
MAX_QUEUED: Final = 25
RESOURCES_PER_FILE: Final = 5_000
"""HealthLake's documented bound of 2021-22; today's pages are silent, so keep it small in tests."""

_EVENTS: Final = {
    "SUBMITTED": "Export Job Submitted",
    "IN_PROGRESS": "Export Job In Progress",
    "COMPLETED": "Export Job Completed",
    "COMPLETED_WITH_ERRORS": "Export Job Completed With Errors",
    "FAILED": "Export Job Failed",
}


class Objects(Protocol):
    """Where export files go."""

    def put(self, bucket: str, key: str, body: bytes, kms_key: str) -> None:
        """Store one object."""


Announce = Callable[[str, Mapping[str, object]], None]
"""Publish an event (detail-type, detail); must return at once, for it is called with the queue locked."""


@dataclass(frozen=True)
class ExportRequest:
    """What `$export` was asked. Times in milliseconds; `types` empty means all."""

    job_name: str
    s3_uri: str
    kms_key: str
    role: str
    url: str
    types: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    client_token: str = ""


@dataclass(frozen=True)
class ExportJob:
    """An export job as it stands. `output`, `errors`, `deleted` are Bulk Data file lists: [{type, url}]."""

    id: str
    datastore_id: str
    request: ExportRequest
    status: str
    submitted: int
    ended: int | None = None
    message: str = ""
    output: tuple[dict[str, str], ...] = ()
    errors: tuple[dict[str, str], ...] = ()
    deleted: tuple[dict[str, str], ...] = ()

    @property
    def folder(self) -> str:
        """`s3://…/<datastore>-FHIR_EXPORT-<job>/`."""
        return f"{self.request.s3_uri.rstrip('/')}/{self.datastore_id}-FHIR_EXPORT-{self.id}/"


@dataclass
class _Files:
    output: list[dict[str, str]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    deleted: list[dict[str, str]] = field(default_factory=list)


class Cancelled(Exception):
    """The job was cancelled while it ran."""


class Exports:
    """The queue of export jobs and the one worker that runs them. `start` it before use, `stop` it after."""

    def __init__(
        self,
        path: Path,
        store: Store,
        objects: Objects,
        announce: Announce,
        faults: FaultPlan,
        *,
        datastore_id: str,
        resources_per_file: int = RESOURCES_PER_FILE,
    ) -> None:
        self._store, self._objects, self._announce, self._faults = store, objects, announce, faults
        self._datastore_id, self._per_file = datastore_id, resources_per_file
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute(
            "create table if not exists job (n integer primary key autoincrement, id text unique, state text)"
        )
        self._changed = threading.Condition(threading.RLock())
        self._jobs = self._load()
        self._forced: set[str] = set()
        self._stopping = False
        self._worker = threading.Thread(target=self._work, name="exports", daemon=True)
        self.running = 0
        self.most_running = 0

    def start(self) -> None:
        """Begin to run jobs."""
        self._worker.start()

    def stop(self) -> None:
        """Finish no more jobs; what runs is run again after the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._worker.join(timeout=10)
        self._database.close()

    def submit(self, request: ExportRequest) -> ExportJob:
        """Queue a job. Raises Throttled where 25 wait already."""
        with self._changed:
            if request.client_token:
                for job in self._jobs.values():
                    if job.request.client_token == request.client_token:
                        return job
            waiting = sum(job.status in _WAITING for job in self._jobs.values())
            if waiting >= MAX_QUEUED:
                raise Throttled(f"{MAX_QUEUED} export jobs are queued already")
            busy = any(job.status not in _ENDED for job in self._jobs.values())
            status = "QUEUED" if busy else "SUBMITTED"
            job = ExportJob(secrets.token_hex(16), self._datastore_id, request, status, now_ms())
            self._save(job)
            self._tell(replace(job, status="SUBMITTED"))
            self._changed.notify_all()
            return job

    def job(self, job_id: str) -> ExportJob:
        """Raises NotFound."""
        with self._changed:
            if job_id not in self._jobs:
                raise NotFound(f"export job {job_id}")
            return self._jobs[job_id]

    def jobs(self) -> list[ExportJob]:
        """All jobs, newest first, as ListFHIRExportJobs gives them."""
        with self._changed:
            return list(reversed(self._jobs.values()))  # kept in the order in which they came

    def cancel(self, job_id: str) -> ExportJob:
        """Stop a job: at once where it waits, soon where it runs. Raises ValidationError where it ended."""
        with self._changed:
            job = self.job(job_id)
            if job.status in _ENDED:
                raise ValidationError(f"export job {job_id} has ended: {job.status}")
            if job.status in _WAITING:
                job = replace(job, status="CANCEL_COMPLETED", ended=now_ms())
            else:
                job = replace(job, status="CANCEL_SUBMITTED")
            self._save(job)
            self._changed.notify_all()
            return job

    def force(self, job_id: str, status: str) -> ExportJob:
        """Put a job in any state, and leave it there, to test what a caller makes of it.

        Raises ValidationError, NotFound.
        """
        if status not in STATES:
            raise ValidationError(f"no job status {status!r}")
        with self._changed:
            job = replace(self.job(job_id), status=status, ended=now_ms() if status in _ENDED else None)
            self._forced.add(job_id)
            self._save(job)
            self._changed.notify_all()
            return job

    def clear(self) -> None:
        """Forget all jobs."""
        with self._changed:
            self._jobs = {}
            self._database.execute("delete from job")

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (job := self._next()) is None:
                    self._changed.wait()
                if self._stopping or job is None:
                    return
                job = replace(job, status="IN_PROGRESS")
                self._save(job)
                self.running += 1
                self.most_running = max(self.most_running, self.running)
            try:
                self._run(job)
            finally:
                with self._changed:
                    self.running -= 1

    def _next(self) -> ExportJob | None:
        waiting = [
            job for job in self._jobs.values() if job.status in _WAITING and job.id not in self._forced
        ]
        return min(waiting, key=lambda job: job.submitted, default=None)

    def _run(self, job: ExportJob) -> None:
        quiet = self._faults.use("silent_exports")
        if not quiet:
            self._tell(job)
        try:
            ended = self._write(job)
        except Cancelled:
            ended = replace(job, status="CANCEL_COMPLETED")
        except Exception as error:  # whatever S3 said: the job fails, the simulator goes on
            ended = replace(
                job, status="FAILED", message=f"{type(error).__name__} while writing to {job.folder}"
            )
        with self._changed:
            if self._stopping or job.id in self._forced or job.id not in self._jobs:
                return  # forced to a state, or forgotten, meanwhile
            ended = replace(ended, ended=now_ms())
            self._save(ended)
        if not quiet:
            self._tell(ended)

    def _write(self, job: ExportJob) -> ExportJob:
        seconds = self._faults.now.export_seconds
        if self._faults.use("fail_exports"):
            self._pause(job, seconds)
            return replace(job, status="FAILED", message="The export job failed. Start it again.")
        types = [name for name in self._store.types() if not job.request.types or name in job.request.types]
        skipped = types[-1] if types and self._faults.use("incomplete_exports") else None
        files = _Files()
        for name in types:
            self._pause(job, seconds / len(types))
            if name == skipped:
                files.errors.append(self._write_error(job, name))
            else:
                self._write_type(job, name, files)
        if not types:
            self._pause(job, seconds)
        return replace(
            job,
            status="COMPLETED_WITH_ERRORS" if files.errors else "COMPLETED",
            output=tuple(files.output),
            errors=tuple(files.errors),
            deleted=tuple(files.deleted),
        )

    def _write_type(self, job: ExportJob, name: str, files: _Files) -> None:
        window = Window(job.request.since, job.request.until)
        number = 10**18 + secrets.randbelow(9 * 10**18)
        for part, lines in enumerate(chunks(self._store.export(name, window), self._per_file), start=1):
            content = list(lines)
            if self._faults.use("corrupt_lines"):
                content[len(content) // 2] = content[len(content) // 2][
                    : len(content[len(content) // 2]) // 2
                ]
            url = self._put(job, f"{name}/{name}-{number}-{part}-0.ndjson", _ndjson(content))
            files.output.append({"type": name, "url": url})
        if self._faults.now.report_deletes and job.request.since is not None:
            gone = self._store.deletions(name, window)
            if gone:
                url = self._put(job, f"deleted/{name}-{number}-1-0.ndjson", _ndjson([_deletions(name, gone)]))
                files.deleted.append({"type": "Bundle", "url": url})

    def _write_error(self, job: ExportJob, name: str) -> dict[str, str]:
        issue = {
            "severity": "error",
            "code": "exception",
            "diagnostics": f"Not all of {name} could be exported.",
        }
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        number = 10**18 + secrets.randbelow(9 * 10**18)
        url = self._put(
            job, f"error/OperationOutcome-{number}-1-0.ndjson", _ndjson([fhir_text.dumps(outcome)])
        )
        return {"type": "OperationOutcome", "url": url}

    def _put(self, job: ExportJob, name: str, body: bytes) -> str:
        url = job.folder + name
        bucket, _, key = url.removeprefix("s3://").partition("/")
        self._objects.put(bucket, key, body, job.request.kms_key)
        return url

    def _pause(self, job: ExportJob, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                status = self._jobs[job.id].status if job.id in self._jobs else "CANCEL_SUBMITTED"
                if self._stopping or status in _CANCELLING or job.id in self._forced:
                    raise Cancelled
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _tell(self, job: ExportJob) -> None:
        name = _EVENTS.get(job.status)
        if name is None:
            return
        self._announce(
            name,
            {
                "jobId": job.id,
                "submitTime": instant(job.submitted),
                "datastoreId": job.datastore_id,
                "outputDataConfig": {"s3Uri": job.request.s3_uri},
            },
        )

    def _save(self, job: ExportJob) -> None:
        self._jobs[job.id] = job
        state = json.dumps({**job.__dict__, "request": job.request.__dict__})
        self._database.execute(
            "insert into job (id, state) values (?, ?) on conflict (id) do update set state = excluded.state",
            (job.id, state),
        )

    def _load(self) -> dict[str, ExportJob]:
        jobs: dict[str, ExportJob] = {}
        for (text,) in self._database.execute("select state from job order by n"):
            state = json.loads(text)
            request = state.pop("request")
            state |= {name: tuple(state[name]) for name in ("output", "errors", "deleted")}
            job = ExportJob(request=ExportRequest(**{**request, "types": tuple(request["types"])}), **state)
            if job.status == "IN_PROGRESS":
                job = replace(job, status="QUEUED")
            elif job.status in _CANCELLING:
                job = replace(job, status="CANCEL_COMPLETED", ended=now_ms())
            jobs[job.id] = job
        return jobs


def _ndjson(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _deletions(resource_type: str, ids: list[str]) -> str:
    entries = [{"request": {"method": "DELETE", "url": f"{resource_type}/{id_}"}} for id_ in ids]
    return fhir_text.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
