"""The doing behind the emulator's Glue: jobs on a warm Spark, crawls, workflows.

Lives in the emulator's process and talks to it only over HTTP, as any client does. Every method returns at
once; the work is done on the host's own threads, each end is reported exactly once.
"""

from __future__ import annotations

import atexit
import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.glue.aws import glue_client, s3_client, sqs_client
from local.glue.crawler import Crawl, crawl, properties
from local.glue.errors import GlueHostError
from local.glue.job import REPOSITORY
from local.glue.spark_jobs import JobEnd, SparkJobs, tell
from local.glue.workflow_run import WorkflowRun, WorkflowState

_log = logging.getLogger("watershed.glue")


@dataclass(frozen=True)
class CrawlEnd:
    """``status`` is that of ``LastCrawl``: SUCCEEDED or FAILED; ``summary`` tells of each table, and
    ``crawled_with`` by which properties it went."""

    status: str
    crawled_with: str
    error_message: str = ""
    log_stream: str = ""
    tables_updated: int = 0
    partitions_added: int = 0
    summary: Mapping[str, Any] = field(default_factory=dict)


class GlueHost:
    """What ``local.emulator.glue_host`` asks for.

    Parameters
    ----------
    endpoint_url : of the emulator
    state_dir : ``.watershed``; below it lie ``mirror/``, ``logs/`` and Spark's scratch space
    idle_seconds : after which a Spark worker without work is ended
    code : the folder that holds ``glue_jobs/`` and ``schemas/``
    """

    def __init__(
        self, endpoint_url: str, state_dir: Path, idle_seconds: float = 900, code: Path = REPOSITORY
    ) -> None:
        self._endpoint_url = endpoint_url
        self._logs = state_dir.absolute() / "logs"
        self._jobs = SparkJobs(endpoint_url, state_dir, idle_seconds, code)
        self._workflow_runs: dict[str, WorkflowRun] = {}
        self._lock = threading.Lock()
        atexit.register(self.close)

    def start_job_run(
        self,
        job: Mapping[str, Any],
        run_id: str,
        arguments: Mapping[str, str],
        on_start: Callable[[], None],
        on_end: Callable[[JobEnd], None],
    ) -> None:
        """Queue a run of ``job`` (as ``GetJob`` shows it); ``arguments`` are those of ``StartJobRun``."""
        self._jobs.start(job, run_id, arguments, on_start, on_end)

    def stop_job_run(self, run_id: str) -> bool:
        """Stop a run, queued or under way, whose end is then STOPPED; False where there is none."""
        return self._jobs.stop(run_id)

    def start_crawler(self, crawler: Mapping[str, Any], on_end: Callable[[CrawlEnd], None]) -> None:
        """Crawl the targets of ``crawler`` (as ``GetCrawler`` shows it)."""
        thread = threading.Thread(target=self._crawl, args=(crawler, on_end), name="glue-crawl", daemon=True)
        thread.start()

    def start_workflow_run(
        self,
        workflow: Mapping[str, Any],
        run_id: str,
        properties: Mapping[str, str],
        on_change: Callable[[WorkflowState], None],
        resumed: tuple[Mapping[str, Any], Sequence[str]] | None = None,
    ) -> None:
        """Walk the triggers of ``workflow`` (as ``GetWorkflow`` shows it), reporting every change; from the
        start, or resumed: from these nodes of the run that has this ``Graph``."""
        glue = glue_client(self._endpoint_url)
        run = WorkflowRun(
            glue, str(workflow["Name"]), run_id, properties, lambda state: tell(on_change, state), resumed
        )
        with self._lock:
            self._workflow_runs[run_id] = run
        # Spark takes longer to start than the crawlers to crawl.
        self._jobs.warm()
        threading.Thread(target=self._walk, args=(run,), name="glue-workflow", daemon=True).start()

    def stop_workflow_run(self, run_id: str) -> bool:
        """Stop a run and what it runs; False where there is none."""
        with self._lock:
            run = self._workflow_runs.get(run_id)
        if run is not None:
            run.stop_asked.set()
        return run is not None

    def warm_up(self) -> None:
        """Have Spark up before the first job is asked for."""
        self._jobs.warm()

    def worker_pid(self) -> int | None:
        """The process id of the Spark worker, where one is up."""
        return self._jobs.worker_pid()

    def close(self) -> None:
        """Stop what runs, and every child process."""
        self._jobs.close()
        atexit.unregister(self.close)

    def _crawl(self, crawler: Mapping[str, Any], on_end: Callable[[CrawlEnd], None]) -> None:
        log_stream = f"{crawler.get('Name')}/{uuid.uuid4()}"
        done = Crawl()
        error = ""
        where = self._endpoint_url
        try:
            done = crawl(crawler, glue_client(where), s3_client(where), sqs_client(where))
        except GlueHostError as problem:
            error = str(problem)
        except Exception as problem:
            _log.exception("crawler %s: the crawl failed", crawler.get("Name"))
            error = f"{type(problem).__name__} while crawling; the emulator's log has the details"
        tables = done.tables
        summary = {
            "messages": done.messages,
            "tables": [table.summary() for table in tables],
            "error": error,
        }
        log = self._logs / f"{log_stream}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(json.dumps(summary, indent=2) + "\n")
        end = CrawlEnd(
            status="FAILED" if error else "SUCCEEDED",
            crawled_with=properties(crawler),
            error_message=error,
            log_stream=log_stream,
            tables_updated=sum(table.added + table.updated > 0 for table in tables),
            partitions_added=sum(table.added for table in tables),
            summary=summary,
        )
        by = "everything listed" if done.messages is None else f"{done.messages} messages of S3's read"
        _log.info(
            "crawler %s: %s, %s, %d partitions added",
            crawler.get("Name"),
            end.status,
            by,
            end.partitions_added,
        )
        tell(on_end, end)

    def _walk(self, run: WorkflowRun) -> None:
        try:
            run.work()
        finally:
            with self._lock:
                del self._workflow_runs[run.run_id]
