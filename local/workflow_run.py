"""A run of the Glue workflow, started and watched through Glue's own API, as on AWS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import LocalError

_POLL_SECONDS = 0.4
_ENDED = ("COMPLETED", "STOPPED", "ERROR")


@dataclass(frozen=True)
class NodeRun:
    """One job or crawler of a workflow run, as the graph shows it."""

    kind: str
    name: str
    state: str
    seconds: float
    error: str = ""
    log_stream: str = ""


@dataclass(frozen=True)
class WorkflowRun:
    run_id: str
    status: str
    nodes: tuple[NodeRun, ...]
    waiting: tuple[tuple[str, str], ...] = ()
    """Kind and name of each job and crawler that has not been started, in the graph's order."""

    @property
    def ended(self) -> bool:
        return self.status in _ENDED

    @property
    def failed(self) -> tuple[NodeRun, ...]:
        return tuple(node for node in self.nodes if node.state in ("FAILED", "TIMEOUT", "STOPPED", "ERROR"))


def start_workflow(glue: Any, name: str) -> str:
    """Start a run of the workflow; returns the run's id.

    Raises
    ------
    LocalError : a run of it goes on already
    """
    try:
        return str(glue.start_workflow_run(Name=name)["RunId"])
    except glue.exceptions.ConcurrentRunsExceededException:
        raise LocalError(
            "A run of the workflow goes on already; one runs at a time.", "Watch it with: watershed status"
        ) from None


def resume_workflow(glue: Any, name: str) -> str:
    """Resume the latest run from the jobs and crawlers that failed in it; returns the new run's id.

    Raises
    ------
    LocalError : there is nothing to resume
    """
    reply = glue.get_workflow_runs(Name=name, IncludeGraph=True, MaxResults=10)
    runs = sorted(reply.get("Runs", []), key=lambda run: str(run.get("StartedOn", "")))
    if not runs or runs[-1]["Status"] != "COMPLETED":
        raise LocalError("There is no completed run to resume.", "Start one with: watershed run")
    latest = runs[-1]
    failed = {(node.kind, node.name) for node in _workflow_run(latest).failed}
    ids = [
        node["UniqueId"]
        for node in latest["Graph"]["Nodes"]
        if (node["Type"].lower(), node["Name"]) in failed
    ]
    if not ids:
        raise LocalError("Nothing failed in the latest run.", "Start another with: watershed run")
    return str(glue.resume_workflow_run(Name=name, RunId=latest["WorkflowRunId"], NodeIds=ids)["RunId"])


def latest_workflow_runs(glue: Any, name: str, count: int = 10) -> list[WorkflowRun]:
    """The latest runs, newest first."""
    runs = glue.get_workflow_runs(Name=name, IncludeGraph=True, MaxResults=count).get("Runs", [])
    runs.sort(key=lambda run: str(run.get("StartedOn", "")), reverse=True)
    return [_workflow_run(run) for run in runs]


def describe_workflow(glue: Any, name: str, run_id: str) -> WorkflowRun:
    """A run as it stands."""
    return _workflow_run(glue.get_workflow_run(Name=name, RunId=run_id, IncludeGraph=True)["Run"])


def await_workflow(
    glue: Any, name: str, run_id: str, note: Callable[[WorkflowRun], None], timeout: float = 1800
) -> WorkflowRun:
    """Wait for a run's end.

    Raises
    ------
    LocalError : a job or crawler failed, with its error, or the run did not end within ``timeout`` seconds
    """
    deadline = time.monotonic() + timeout
    while True:
        run = describe_workflow(glue, name, run_id)
        note(run)
        if run.ended:
            break
        if time.monotonic() > deadline:
            raise LocalError(f"The workflow run {run_id} still runs after {timeout:.0f} s.")
        time.sleep(_POLL_SECONDS)
    if run.failed:
        what = "; ".join(f"{node.kind} {node.name}: {node.error or node.state}" for node in run.failed)
        raise LocalError(
            f"The workflow run failed. {what}",
            "The jobs' logs are in .watershed/logs/. Analysts still see the last good tables. "
            "Go on from where it failed with: watershed run --resume",
        )
    return run


def _workflow_run(run: Mapping[str, Any]) -> WorkflowRun:
    graph = run.get("Graph", {})
    nodes = tuple(_nodes(graph))
    started = {(node.kind, node.name) for node in nodes}
    named = [(node["Type"].lower(), node["Name"]) for node in graph.get("Nodes", ())]
    waiting = tuple(each for each in named if each[0] != "trigger" and each not in started)
    return WorkflowRun(run["WorkflowRunId"], run["Status"], nodes, waiting)


def _nodes(graph: Mapping[str, Any]) -> Iterator[NodeRun]:
    for node in graph.get("Nodes", ()):
        for job in node.get("JobDetails", {}).get("JobRuns", ()):
            seconds = float(job.get("ExecutionTime") or 0)
            yield NodeRun(
                "job", node["Name"], job.get("JobRunState", "STARTING"), seconds, job.get("ErrorMessage", "")
            )
        for crawl in node.get("CrawlerDetails", {}).get("Crawls", ()):
            started, ended = crawl.get("StartedOn"), crawl.get("CompletedOn")
            seconds = (ended - started).total_seconds() if started and ended else 0.0
            yield NodeRun(
                "crawler",
                node["Name"],
                crawl.get("State", "RUNNING"),
                seconds,
                crawl.get("ErrorMessage", ""),
                crawl.get("LogStream", ""),
            )
