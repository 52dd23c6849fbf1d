"""A stop, and an end that comes just then: one of the two is told, and nothing stays as if it were going on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.emulator.patches import glue_crawler, glue_job_run, glue_workflow_run
from local.glue import spark_jobs
from local.glue.spark_jobs import JobEnd, SparkJobs
from tests.conftest import PATIENCE

_A_MOMENT = 0.2
"""Seconds for which a record that is being looked at waits for whoever else would change it."""


class Watched(dict[str, Any]):
    """A record that, the first time it is looked at, is changed by another thread before the look goes on."""

    def __init__(self, change: Callable[[Watched], None], **values: Any) -> None:
        super().__init__(values)
        self._other = threading.Thread(target=change, args=(self,), daemon=True)

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if self._other.ident is None:
            self._other.start()
            self._other.join(_A_MOMENT)
        return found

    def as_it_ends(self) -> dict[str, Any]:
        self._other.join(PATIENCE)
        assert not self._other.is_alive(), "the change was never made"
        return self


def test_a_job_run_that_ends_while_it_is_asked_to_stop_has_ended() -> None:
    run = Watched(lambda run: glue_job_run.finish(run, "SUCCEEDED", ""), JobRunState="RUNNING", StartedOn=1)
    glue_job_run.ask_to_stop(run)
    assert run.as_it_ends()["JobRunState"] == "SUCCEEDED"
    assert not glue_job_run.ask_to_stop(run)


def test_a_workflow_run_that_ends_while_it_is_asked_to_stop_was_stopped() -> None:
    run = Watched(lambda run: glue_workflow_run.finish(run, "COMPLETED", ""), Status="RUNNING")
    assert glue_workflow_run.ask_to_stop(run)
    assert run.as_it_ends()["Status"] == "STOPPED"
    assert not glue_workflow_run.ask_to_stop(run)


@pytest.mark.parametrize("status", ["COMPLETED", "ERROR"])
def test_a_workflow_run_that_nobody_stopped_ends_as_it_ended(status: str) -> None:
    run: dict[str, Any] = {"Status": "RUNNING"}
    glue_workflow_run.finish(run, status, "")
    assert run["Status"] == status


def test_a_crawler_that_is_stopped_crawls_on_until_its_end() -> None:
    """Else another crawl could be started beside it, and be taken for ended with it."""
    crawler: dict[str, Any] = {"Name": "c", "State": "RUNNING"}
    assert glue_crawler.ask_to_stop(crawler)
    assert crawler["State"] == "STOPPING"
    assert not glue_crawler.ask_to_stop(crawler)
    glue_crawler.finish(crawler, 1.0, "CANCELLED", "", "")
    assert (crawler["State"], crawler["LastCrawl"]["Status"]) == ("READY", "CANCELLED")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SparkJobs, list[bool]]]:
    """A host of jobs, and what it answered to a stop of each run that came just as it was taken from the queue."""
    answers: list[bool] = []

    class Taken(queue.Queue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            taken = super().get(block, timeout)
            if taken is not None:
                answers.append(host.stop(taken.run_id))
            return taken

    monkeypatch.setattr(spark_jobs, "queue", SimpleNamespace(Queue=Taken, Empty=queue.Empty))
    host = SparkJobs("http://127.0.0.1:1", tmp_path, 900, tmp_path)
    yield host, answers
    host.close()


def test_a_run_that_is_taken_from_the_queue_just_then_is_stopped(
    jobs: tuple[SparkJobs, list[bool]],
) -> None:
    host, answers = jobs
    ends: queue.Queue[JobEnd] = queue.Queue()
    host.start({"Name": "j"}, "jr_1", {}, lambda: None, ends.put)
    assert ends.get(timeout=PATIENCE) == JobEnd("STOPPED")
    assert answers == [True]
    assert not host.stop("jr_1")
