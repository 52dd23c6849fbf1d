"""`StartWorkflowRun` walks the workflow's triggers, and its run can be followed.

The emulator's workflow run is `RUNNING` for ever: no trigger fires, and `GetWorkflowRun` is an unknown
action. Here the run is handed to the Glue host, which starts jobs and crawlers; the record holds what it
reports. As on AWS, a run beyond the workflow's `MaxConcurrentRuns` is a `ConcurrentRunsExceededException`,
the graph is shown only with `IncludeGraph`, and a run whose actions failed is `COMPLETED` with its
`Statistics` saying so; such a run can be resumed from nodes that it started.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.emulator import context
from local.emulator.glue_host import WorkflowState
from local.emulator.refusal import refusal

_log = logging.getLogger("watershed.glue")

ENDED = ("COMPLETED", "STOPPED", "ERROR")

_records = threading.RLock()
"""Requests have a thread each, and runs are walked on the host's: a look at a record and its change belong together."""

_NO_ACTIONS = dict.fromkeys(
    (
        "TotalActions",
        "TimeoutActions",
        "FailedActions",
        "StoppedActions",
        "SucceededActions",
        "RunningActions",
        "ErroredActions",
        "WaitingActions",
    ),
    0,
)


def _ok(body: Mapping[str, Any]) -> Any:
    from ministack.core.responses import json_response

    return json_response(dict(body))


def _runs(name: str) -> list[dict[str, Any]]:
    from ministack.services import glue

    runs: list[dict[str, Any]] = glue._workflow_runs.setdefault(name, [])
    return runs


def _shown(run: Mapping[str, Any], graph: bool) -> dict[str, Any]:
    return {name: value for name, value in run.items() if value is not None and (graph or name != "Graph")}


def finish(run: dict[str, Any], status: str, error_message: str) -> None:
    """Record the end of a run. One that was asked to stop did, though its last action ended by itself just then."""
    with _records:
        run["CompletedOn"] = time.time()
        run["ErrorMessage"] = error_message or None
        run["Status"] = "STOPPED" if (run["Status"], status) == ("STOPPING", "COMPLETED") else status


def ask_to_stop(run: dict[str, Any]) -> bool:
    """Whether it was going, and is now `STOPPING`."""
    with _records:
        if run["Status"] != "RUNNING":
            return False
        run["Status"] = "STOPPING"
        return True


def _no_workflow(name: str) -> Any:
    return refusal("EntityNotFoundException", f"Entity not found (Service: AWSGlue): workflow {name}")


def _at_the_limit(workflow: Mapping[str, Any], name: str) -> Any:
    """What to answer where no more runs may go on, else nothing."""
    limit = int(workflow.get("MaxConcurrentRuns") or 0)
    if limit and sum(run["Status"] not in ENDED for run in _runs(name)) >= limit:
        return refusal(
            "ConcurrentRunsExceededException",
            f"Concurrent runs exceeded for workflow {name}: at most {limit}",
        )
    return None


def _start(request: dict[str, Any]) -> Any:
    from ministack.services import glue

    name = request.get("Name", "")
    workflow = glue._workflows.get(name)
    if workflow is None:
        return _no_workflow(name)
    properties = {**workflow.get("DefaultRunProperties", {}), **(request.get("RunProperties") or {})}
    with _records:
        if busy := _at_the_limit(workflow, name):
            return busy
        run = _new_run(name, properties)
    return _hand_over(workflow, run) or _ok({"RunId": run["WorkflowRunId"]})


def _new_run(name: str, properties: Mapping[str, str], previous: str | None = None) -> dict[str, Any]:
    run: dict[str, Any] = {
        "Name": name,
        "WorkflowRunId": f"wr_{secrets.token_hex(32)}",
        "PreviousRunId": previous,
        "WorkflowRunProperties": dict(properties),
        "StartedOn": time.time(),
        "CompletedOn": None,
        "Status": "RUNNING",
        "ErrorMessage": None,
        "Statistics": dict(_NO_ACTIONS),
        "Graph": {"Nodes": [], "Edges": []},
    }
    # GetWorkflow shows the last of the list as the last run.
    _runs(name).append(run)
    return run


def _hand_over(
    workflow: Mapping[str, Any],
    run: dict[str, Any],
    resumed: tuple[Mapping[str, Any], Sequence[str]] | None = None,
) -> Any:
    """Have the host walk the run; what to answer where it would not, else nothing."""

    def on_change(state: WorkflowState) -> None:
        run["Statistics"] = {**_NO_ACTIONS, **state.statistics}
        run["Graph"] = dict(state.graph)
        if state.ended:
            finish(run, state.status, state.error_message)

    try:
        context.glue_host().start_workflow_run(
            {**workflow}, run["WorkflowRunId"], run["WorkflowRunProperties"], on_change, resumed
        )
    except Exception as error:
        problem = f"The run could not be handed to the local Glue: {error}"
        _log.exception("%s", problem)
        finish(run, "ERROR", problem)
        return refusal("InternalServiceException", problem, 500)
    return None


def _resume(request: dict[str, Any]) -> Any:
    from ministack.services import glue

    from local.glue.errors import WorkflowGraphError
    from local.glue.workflow import read_triggers, resumption
    from local.glue.workflow_run import graph_nodes, graph_states

    earlier = _found(request)
    if earlier is None:
        return _no_run(request)
    name, ids = earlier["Name"], list(request.get("NodeIds") or ())
    if earlier["Status"] != "COMPLETED":
        return refusal(
            "IllegalWorkflowStateException",
            f"Run {earlier['WorkflowRunId']} is {earlier['Status']}; only a COMPLETED one is resumed",
        )
    workflow = glue._workflows[name]
    graph = earlier["Graph"]
    triggers = [each["TriggerDetails"]["Trigger"] for each in graph["Nodes"] if each["Type"] == "TRIGGER"]
    try:
        again = resumption(read_triggers(triggers), graph_states(graph), graph_nodes(graph, ids))
    except WorkflowGraphError as problem:
        return refusal("InvalidInputException", str(problem))
    with _records:
        if busy := _at_the_limit(workflow, name):
            return busy
        run = _new_run(name, earlier["WorkflowRunProperties"], earlier["WorkflowRunId"])
    started = [node_id for node_id in ids if graph_nodes(graph, [node_id])[0] in again.start]
    return _hand_over(workflow, run, (graph, started)) or _ok(
        {"RunId": run["WorkflowRunId"], "NodeIds": started}
    )


def _found(request: Mapping[str, Any]) -> dict[str, Any] | None:
    wanted = request.get("RunId")
    return next((run for run in _runs(request.get("Name", "")) if run["WorkflowRunId"] == wanted), None)


def _no_run(request: Mapping[str, Any]) -> Any:
    return refusal(
        "EntityNotFoundException", f"Workflow {request.get('Name')} has no run {request.get('RunId')}"
    )


def _get_run(request: dict[str, Any]) -> Any:
    run = _found(request)
    return _ok({"Run": _shown(run, bool(request.get("IncludeGraph")))}) if run else _no_run(request)


def _get_runs(request: dict[str, Any]) -> Any:
    from ministack.services import glue

    name = request.get("Name", "")
    if name not in glue._workflows:
        return _no_workflow(name)
    graph = bool(request.get("IncludeGraph"))
    return _ok({"Runs": [_shown(run, graph) for run in reversed(_runs(name))]})


def _get_properties(request: dict[str, Any]) -> Any:
    run = _found(request)
    return _ok({"RunProperties": run["WorkflowRunProperties"]}) if run else _no_run(request)


def _put_properties(request: dict[str, Any]) -> Any:
    run = _found(request)
    if run is None:
        return _no_run(request)
    run["WorkflowRunProperties"].update(request.get("RunProperties") or {})
    return _ok({})


def _stop(request: dict[str, Any]) -> Any:
    run = _found(request)
    if run is None:
        return _no_run(request)
    if not ask_to_stop(run):
        return refusal("IllegalWorkflowStateException", f"Run {run['WorkflowRunId']} is {run['Status']}")
    context.glue_host().stop_workflow_run(run["WorkflowRunId"])
    return _ok({})


def _get_workflow(request: dict[str, Any]) -> Any:
    from ministack.services import glue

    name = request.get("Name", "")
    workflow = glue._workflows.get(name)
    if workflow is None:
        return _no_workflow(name)
    runs = _runs(name)
    last = {"LastRun": _shown(runs[-1], False)} if runs else {}
    return _ok({"Workflow": {**workflow, **last}})


_ADDED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "GetWorkflowRun": _get_run,
    "GetWorkflowRuns": _get_runs,
    "GetWorkflowRunProperties": _get_properties,
    "PutWorkflowRunProperties": _put_properties,
    "StopWorkflowRun": _stop,
    "ResumeWorkflowRun": _resume,
}


def apply() -> None:
    from ministack.services import glue

    glue._start_workflow_run = _start
    glue._get_workflow = _get_workflow
    dispatch = glue._handle_request_sync

    def dispatch_more(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        added = _ADDED.get(headers.get("x-amz-target", "").rpartition(".")[2])
        return added(json.loads(body or b"{}")) if added else dispatch(method, path, headers, body, query)

    glue._handle_request_sync = dispatch_more
