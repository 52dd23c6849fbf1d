"""One workflow run on the emulator: starts what the walk says, polls until it ends, reports every change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.glue.errors import WorkflowGraphError
from local.glue.workflow import Action, Node, Trigger, Walk, read_triggers, resumption

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

_log = logging.getLogger("watershed.glue")

_POLL_SECONDS = 0.2
_ENDED_JOB = ("SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED")
_ENDED = (*_ENDED_JOB, "CANCELLED")


@dataclass(frozen=True)
class WorkflowState:
    """A run as it stands, in the shapes of ``GetWorkflowRun``."""

    status: str
    statistics: Mapping[str, int]
    graph: Mapping[str, Any]
    error_message: str = ""
    ended: bool = False


@dataclass
class WorkflowRun:
    """Runs :meth:`work` on a thread of its caller's.

    Parameters
    ----------
    on_change : told whenever something starts or ends, and at the end of the run
    resumed : ``Graph`` of the run that this one resumes, and the ids of the nodes that it resumes from
    """

    glue: GlueClient
    workflow: str
    run_id: str
    properties: Mapping[str, str]
    on_change: Callable[[WorkflowState], None]
    resumed: tuple[Mapping[str, Any], Sequence[str]] | None = None
    stop_asked: threading.Event = field(default_factory=threading.Event)
    _details: dict[Node, dict[str, Any]] = field(default_factory=dict)
    _reported: WorkflowState | None = None

    def work(self) -> None:
        """Walk the workflow to its end; every end, the host's own failure too, is reported."""
        try:
            raw = self._triggers()
            walk = self._walk_of(read_triggers(raw))
        except WorkflowGraphError as problem:
            self.on_change(WorkflowState("ERROR", {}, {"Nodes": [], "Edges": []}, str(problem), ended=True))
            return
        try:
            self._walk(walk, raw)
        except Exception as problem:
            _log.exception("workflow %s, run %s: the runner failed", self.workflow, self.run_id)
            message = f"{type(problem).__name__} in the workflow runner; the emulator's log has the details"
            self.on_change(
                WorkflowState("ERROR", walk.statistics(), self._graph(walk, raw), message, ended=True)
            )

    def _walk_of(self, triggers: Sequence[Trigger]) -> Walk:
        if self.resumed is None:
            return Walk(triggers)
        graph, chosen = self.resumed
        again = resumption(triggers, graph_states(graph), graph_nodes(graph, chosen))
        for node, details in _graph_details(graph).items():
            if node in again.kept:
                self._details[node] = details
        return Walk(triggers, resumed=again)

    def _walk(self, walk: Walk, raw: list[dict[str, Any]]) -> None:
        self._start(walk.start(), walk)
        self._report(walk, raw, "RUNNING")
        while not walk.is_over:
            if self.stop_asked.is_set() and not walk.stopping:
                walk.stopping = True
                self._stop(walk)
                self._report(walk, raw, "STOPPING")
            time.sleep(_POLL_SECONDS)
            for node in walk.running:
                state = self._ended_state(node)
                if state is not None:
                    self._start(walk.ended(node, state), walk)
            self._report(walk, raw, "STOPPING" if walk.stopping else "RUNNING")
        self._report(walk, raw, "STOPPED" if walk.stopping else "COMPLETED", ended=True)
        _log.info("workflow %s, run %s: %s", self.workflow, self.run_id, walk.statistics())

    def _triggers(self) -> list[dict[str, Any]]:
        pages = self.glue.get_paginator("get_triggers").paginate()
        found = [each for page in pages for each in page["Triggers"]]
        return [_plain(each) for each in found if each.get("WorkflowName") == self.workflow]

    def _start(self, actions: Iterable[Action], walk: Walk) -> None:
        """Start them; what cannot be started has ended, which may fire triggers in turn."""
        waiting = list(actions)
        while waiting:
            action = waiting.pop(0)
            under_way = self._is_under_way(action.node)
            problem = self._start_one(action)
            if problem:
                _log.warning("workflow %s: %s did not start: %s", self.workflow, action.node.name, problem)
                if under_way:  # what this run started before goes on, and the run with it
                    continue
                self._details[action.node] = {"State": "ERROR", "ErrorMessage": problem}
                state = "FAILED" if action.node.kind == "CRAWLER" else "ERROR"
                waiting.extend(walk.ended(action.node, state))

    def _is_under_way(self, node: Node) -> bool:
        """Whether this run started the node and has not seen it end."""
        details = self._details.get(node)
        if details is None:
            return False
        return (details.get("JobRunState") or details.get("State") or "RUNNING") not in _ENDED

    def _start_one(self, action: Action) -> str:
        """Start a node; what went wrong, or nothing."""
        from botocore.exceptions import ClientError

        try:
            if action.node.kind == "CRAWLER":
                self.glue.start_crawler(Name=action.node.name)
                self._details[action.node] = {}
            else:
                arguments = {
                    **dict(action.arguments),
                    "--WORKFLOW_NAME": self.workflow,
                    "--WORKFLOW_RUN_ID": self.run_id,
                }
                limit: dict[str, Any] = {"Timeout": action.timeout} if action.timeout else {}
                reply = self.glue.start_job_run(JobName=action.node.name, Arguments=arguments, **limit)
                self._details[action.node] = {"Id": reply["JobRunId"]}
        except ClientError as error:
            return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        return ""

    def _ended_state(self, node: Node) -> str | None:
        """The state that a node ended in; None while it runs."""
        if node.kind == "CRAWLER":
            crawler = self.glue.get_crawler(Name=node.name)["Crawler"]
            last = _plain(crawler.get("LastCrawl") or {})
            if crawler["State"] != "READY":
                self._details[node] = {"State": "RUNNING"}
                return None
            self._details[node] = {
                "State": last.get("Status"),
                "StartedOn": last.get("StartTime"),
                "CompletedOn": time.time(),
                "ErrorMessage": last.get("ErrorMessage"),
                "LogGroup": last.get("LogGroup"),
                "LogStream": last.get("LogStream"),
            }
            return str(last.get("Status", "FAILED"))
        run = self.glue.get_job_run(JobName=node.name, RunId=self._details[node]["Id"])["JobRun"]
        self._details[node] = _plain(run)
        state = str(run["JobRunState"])
        return state if state in _ENDED_JOB else None

    def _stop(self, walk: Walk) -> None:
        """End what runs, as Glue does; each then ends as stopped."""
        from botocore.exceptions import ClientError

        for node in walk.running:
            try:
                if node.kind == "CRAWLER":
                    self.glue.stop_crawler(Name=node.name)
                else:
                    self.glue.batch_stop_job_run(JobName=node.name, JobRunIds=[self._details[node]["Id"]])
            except ClientError as error:
                # It ended by itself in the meantime: the next poll sees how.
                _log.info("%s was not stopped: %s", node.name, error.response["Error"]["Code"])

    def _report(self, walk: Walk, raw: list[dict[str, Any]], status: str, ended: bool = False) -> None:
        state = WorkflowState(status, walk.statistics(), self._graph(walk, raw), ended=ended)
        if state != self._reported:
            self._reported = state
            self.on_change(state)

    def _graph(self, walk: Walk, raw: list[dict[str, Any]]) -> dict[str, Any]:
        """``Graph``: triggers, jobs and crawlers as nodes, with the runs that this run made of them."""
        by_name = {each["Name"]: each for each in raw}
        nodes: dict[str, dict[str, Any]] = {}
        edges: dict[tuple[str, str], None] = {}
        for trigger in walk.triggers:
            own = f"trigger/{trigger.name}"
            details = {"Trigger": by_name[trigger.name]}
            nodes[own] = {"Type": "TRIGGER", "Name": trigger.name, "UniqueId": own, "TriggerDetails": details}
            for node in _neighbours(trigger):
                nodes[_unique_id(node)] = self._graph_node(node)
            edges |= {(_unique_id(each.node), own): None for each in trigger.conditions}
            edges |= {(own, _unique_id(each.node)): None for each in trigger.actions}
        return {
            "Nodes": list(nodes.values()),
            "Edges": [{"SourceId": source, "DestinationId": target} for source, target in edges],
        }

    def _graph_node(self, node: Node) -> dict[str, Any]:
        details = self._details.get(node)
        shown: dict[str, Any] = {"Type": node.kind, "Name": node.name, "UniqueId": _unique_id(node)}
        if node.kind == "CRAWLER":
            shown["CrawlerDetails"] = {"Crawls": [] if details is None else [_present(details)]}
            return shown
        run = [] if details is None else [{"JobName": node.name, **_present(details)}]
        for each in run:
            each.setdefault("JobRunState", each.pop("State", "STARTING"))
        shown["JobDetails"] = {"JobRuns": run}
        return shown


def _graph_details(graph: Mapping[str, Any]) -> dict[Node, dict[str, Any]]:
    """What each job and crawler of a ``Graph`` made, where it was started."""
    found = {}
    for each in graph.get("Nodes", ()):
        runs = [
            *each.get("JobDetails", {}).get("JobRuns", ()),
            *each.get("CrawlerDetails", {}).get("Crawls", ()),
        ]
        if runs:
            found[Node(each["Type"], each["Name"])] = dict(runs[-1])
    return found


def graph_states(graph: Mapping[str, Any]) -> dict[Node, str]:
    """The state of each job and crawler that the run of this ``Graph`` started."""
    return {
        node: str(details.get("JobRunState") or details.get("State"))
        for node, details in _graph_details(graph).items()
    }


def graph_nodes(graph: Mapping[str, Any], ids: Sequence[str]) -> list[Node]:
    """The jobs and crawlers of these ids.

    Raises
    ------
    WorkflowGraphError : an id is that of no job or crawler
    """
    nodes = {
        each["UniqueId"]: Node(each["Type"], each["Name"])
        for each in graph.get("Nodes", ())
        if each["Type"] != "TRIGGER"
    }
    for each in ids:
        if each not in nodes:
            raise WorkflowGraphError(f"{each} is no job or crawler of the run")
    return [nodes[each] for each in ids]


def _neighbours(trigger: Trigger) -> list[Node]:
    return [*(each.node for each in trigger.conditions), *(each.node for each in trigger.actions)]


def _unique_id(node: Node) -> str:
    return f"{node.kind.lower()}/{node.name}"


def _present(details: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in details.items() if value is not None}


def _plain(value: Any) -> Any:
    """What a client read, as JSON has it: times as epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
