"""Glue jobs on this machine: a queue, one Spark worker kept warm, and the sync around each run."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.emulator.environment import ACCOUNT
from local.glue.aws import glue_client, s3_client
from local.glue.errors import GlueHostError, JobDefinitionError, WorkerLost
from local.glue.job import LocalJob, local_job
from local.glue.mirror import Mirror
from local.glue.registration import iceberg_tables, register
from local.glue.spark_process import JobAnswer, SparkProcess
from local.glue.twin_secret import with_local_secret
from local.spark import spark_settings

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger("watershed.glue")


@dataclass(frozen=True)
class JobEnd:
    """``state`` is an end of ``JobRunState``: SUCCEEDED, FAILED, TIMEOUT or STOPPED."""

    state: str
    error_message: str = ""


@dataclass
class _Run:
    job: Mapping[str, Any]
    run_id: str
    arguments: Mapping[str, str]
    on_start: Callable[[], None]
    on_end: Callable[[JobEnd], None]
    stopped: bool = False


class _Warm:
    """A wish that the worker be up by the time a job comes."""


@dataclass
class _Working:
    """What the job thread is at; guarded by the host's lock."""

    run: _Run | None = None
    process: SparkProcess | None = None
    idle_since: float = field(default_factory=time.monotonic)


class SparkJobs:
    """Runs jobs one after another on one worker, which is kept warm between them.

    Parameters
    ----------
    endpoint_url : of the emulator
    state_dir : ``.watershed``; below it lie ``mirror/``, ``logs/`` and Spark's scratch space
    idle_seconds : after which a worker without work is ended
    code : the folder that holds ``glue_jobs/`` and ``schemas/``, as the zip beside the scripts does on Glue
    """

    def __init__(self, endpoint_url: str, state_dir: Path, idle_seconds: float, code: Path) -> None:
        self._logs = state_dir.absolute() / "logs"
        self._mirror = state_dir.absolute() / "mirror"
        self._twin_secret = state_dir.absolute() / "twin-secret"
        self._objects = state_dir.absolute() / "emulator" / "s3" / ACCOUNT
        self._endpoint_url = endpoint_url
        self._idle_seconds = idle_seconds
        self._code = code
        self._waiting: queue.Queue[_Run | _Warm | None] = queue.Queue()
        self._runs: dict[str, _Run] = {}
        """Those that have not ended, by id; guarded by the lock. What is taken from the queue is here still."""
        self._working = _Working()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="glue-jobs", daemon=True)
        self._thread.start()

    def start(
        self,
        job: Mapping[str, Any],
        run_id: str,
        arguments: Mapping[str, str],
        on_start: Callable[[], None],
        on_end: Callable[[JobEnd], None],
    ) -> None:
        """Queue a run of ``job`` (as ``GetJob`` shows it); ``arguments`` are those of ``StartJobRun``."""
        merged = {**job.get("DefaultArguments", {}), **arguments}
        run = _Run(job, run_id, merged, on_start, on_end)
        with self._lock:
            self._runs[run_id] = run
        self._waiting.put(run)

    def stop(self, run_id: str) -> bool:
        """Stop a run, queued or under way, whose end is then STOPPED; False where there is none."""
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return False
            run.stopped = True
            if self._working.run is run and self._working.process is not None:
                self._working.process.kill("Stopped")
            return True

    def warm(self) -> None:
        """Have the worker up by the time a job comes."""
        self._waiting.put(_Warm())

    def worker_pid(self) -> int | None:
        """The process id of the Spark worker, where one is up."""
        with self._lock:
            process = self._working.process
            return process.pid if process is not None and process.is_alive() else None

    def close(self) -> None:
        """End the worker, whatever it is at, and serve no more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            process = self._working.process
        self._waiting.put(None)
        if process is not None:
            process.kill("The emulator was stopped")
        self._thread.join(timeout=30)

    def _serve(self) -> None:
        while True:
            try:
                run = self._waiting.get(timeout=min(self._idle_seconds, 30))
            except queue.Empty:
                self._end_idle_worker()
                continue
            if run is None or self._closed:
                self._replace_process(None)
                return
            if isinstance(run, _Warm):
                self._warm_up()
                continue
            with self._lock:
                self._working.run = run
            started = time.monotonic()
            end = self._outcome(run)
            with self._lock:
                self._working.run = None
                self._working.idle_since = time.monotonic()
                del self._runs[run.run_id]
                if run.stopped:
                    end = JobEnd("STOPPED")
            seconds = time.monotonic() - started
            _log.info("job %s, run %s: %s in %.1f s", run.job.get("Name"), run.run_id, end.state, seconds)
            tell(run.on_end, end)

    def _outcome(self, run: _Run) -> JobEnd:
        try:
            return JobEnd("STOPPED") if run.stopped else self._run(run)
        except GlueHostError as problem:
            return JobEnd("FAILED", str(problem))
        except Exception as problem:
            # The thread serves every later run too: whatever went wrong is this run's end, not its own.
            _log.exception("run %s: the host failed", run.run_id)
            return JobEnd(
                "FAILED", f"{type(problem).__name__} around the job; the emulator's log has the details"
            )

    def _run(self, run: _Run) -> JobEnd:
        tell(run.on_start)
        job = with_local_secret(local_job(run.job, run.run_id, run.arguments, self._code), self._twin_secret)
        s3, glue = s3_client(self._endpoint_url), glue_client(self._endpoint_url)
        mirrors = self._mirrors(job, s3)
        for mirror in mirrors:
            moved = mirror.pull()
            _log.info("pulled %s: %s", mirror.bucket, moved)
        try:
            answer = self._run_on_spark(job, run)
        finally:
            # Also what a failed run wrote, such as a branch that its audit refused: S3 would hold it on AWS.
            self._publish(job, mirrors, glue)
        return JobEnd(answer.state, answer.error)

    def _mirrors(self, job: LocalJob, s3: S3Client) -> list[Mirror]:
        def pushes(bucket: str) -> Callable[[str], bool]:
            return lambda key: job.pushes(bucket, key)

        return [
            Mirror(s3, self._mirror, bucket, pushes(bucket), self._objects / bucket) for bucket in job.buckets
        ]

    def _publish(self, job: LocalJob, mirrors: Sequence[Mirror], glue: GlueClient) -> None:
        for mirror in mirrors:
            moved = mirror.push_new()
            _log.info("pushed %s: %s", mirror.bucket, moved)
        registered = register(glue, tuple(iceberg_tables(self._mirror, job.warehouse)), job.warehouse)
        _log.info("catalog: %s", registered)
        for mirror in mirrors:
            mirror.push_deletions()

    def _run_on_spark(self, job: LocalJob, run: _Run) -> JobAnswer:
        process = self._process(job)
        if run.stopped:
            return JobAnswer("STOPPED", "", 0.0)
        deadline = threading.Timer(
            job.timeout, process.kill, [f"Timed out after {job.timeout / 60:g} minutes"]
        )
        deadline.daemon = True
        deadline.start()
        try:
            return process.run(
                job.module, job.argv, dict(job.spark_conf), self._logs / job.name / f"{run.run_id}.log"
            )
        except WorkerLost as lost:
            state = "TIMEOUT" if process.killed_for.startswith("Timed out") else "FAILED"
            return JobAnswer(state, str(lost), 0.0)
        finally:
            deadline.cancel()

    def _process(self, job: LocalJob) -> SparkProcess:
        """The worker, where it is up and sees the buckets of this job; else a new one."""
        current = self._working.process
        settings = spark_settings(self._mirror, job.buckets, job.warehouse)
        if current is not None and current.is_alive() and settings.items() <= current.settings.items():
            return current
        self._replace_process(None)
        _log.info("starting a Spark worker")
        buckets = sorted({*job.buckets, *self._buckets_of_all_jobs()})
        settings = spark_settings(self._mirror, buckets, job.warehouse)
        process = SparkProcess(settings, self._logs / "spark-worker.log", self._code)
        self._replace_process(process)
        process.await_ready()
        return process

    def _buckets_of_all_jobs(self) -> set[str]:
        """So that one worker can run them all: Hadoop's mounts are fixed when Spark starts."""
        found: set[str] = set()
        for page in glue_client(self._endpoint_url).get_paginator("get_jobs").paginate():
            for each in page["Jobs"]:
                with contextlib.suppress(JobDefinitionError):
                    found.update(local_job(each, "", each.get("DefaultArguments", {}), self._code).buckets)
        return found

    def _warm_up(self) -> None:
        """Start the worker, for whichever job; what is wrong with a job is for its runs to say."""
        glue = glue_client(self._endpoint_url)
        try:
            for page in glue.get_paginator("get_jobs").paginate():
                for job in page["Jobs"]:
                    with contextlib.suppress(JobDefinitionError):
                        self._process(local_job(job, "", job.get("DefaultArguments", {}), self._code))
                        return
        except Exception as problem:
            _log.info("no worker was started ahead: %s", problem)

    def _replace_process(self, process: SparkProcess | None) -> None:
        with self._lock:
            previous, self._working.process = self._working.process, process
            if process is not None and self._closed:
                process.kill("The emulator was stopped")
        if previous is not None:
            previous.close()

    def _end_idle_worker(self) -> None:
        if self._working.process is None or time.monotonic() - self._working.idle_since < self._idle_seconds:
            return
        _log.info("ending the Spark worker: idle")
        self._replace_process(None)


def tell(callback: Callable[..., None], *what: object) -> None:
    """Whoever asked for the run must not be able to end the thread that serves every run."""
    try:
        callback(*what)
    except Exception:
        _log.exception("whoever started the run could not be told")
