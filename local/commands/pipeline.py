"""``watershed export`` and ``run``: the two things that production schedules, started by hand."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from local.commands.options import Json, current_stack, says_why
from local.crawl_told import crawl_told
from local.export import await_export, start_export
from local.stack import Stack
from local.terminal import Terminal, counted
from local.watch import live_graph
from local.workflow_run import (
    WorkflowRun,
    await_workflow,
    latest_workflow_runs,
    resume_workflow,
    start_workflow,
)

_BUSY = "busy"
"""What the export's outcome says in place of a run's id when a run of the workflow went on already."""


class Mode(StrEnum):
    incremental = "incremental"
    full = "full"


def run_export(stack: Stack, terminal: Terminal, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """An export through the Step Functions workflow, until all its files have landed."""
    with terminal.step(_title(request)) as step:
        stepfunctions = stack.client("stepfunctions")
        execution = start_export(stepfunctions, stack.export_machine_arn, request)
        end = await_export(stepfunctions, execution, step.note)
        step.result = _landed(end.output)
    return {"execution": execution, **end.output}


def _title(request: Mapping[str, Any]) -> str:
    if request.get("redrive"):
        return f"Land export job {str(request['redrive'])[:8]}"
    return f"Export from HealthLake ({request.get('mode', 'incremental')})"


def _landed(output: Mapping[str, Any]) -> str:
    if output.get("outcome") == "skipped":
        return "skipped: another export runs"
    size = int(output.get("bytes", 0)) / 1_000_000
    return f"{output.get('files', 0)} files, {size:,.1f} MB landed"


def follow_export(stack: Stack, terminal: Terminal, output: Mapping[str, Any]) -> WorkflowRun | None:
    """Follow the workflow run that an export started to its end; None where it started none.

    A run that went on already may have passed what landed: it is followed, and then another is started.
    """
    run_id = str(output.get("workflowRunId", ""))
    if not run_id:
        return None
    if run_id == _BUSY:
        follow_or_start_workflow(stack, terminal)
        run_id = start_workflow(stack.client("glue"), stack.workflow)
    return follow_workflow(stack, terminal, run_id)


def follow_workflow(stack: Stack, terminal: Terminal, run_id: str, watch: bool = False) -> WorkflowRun:
    """Follow a workflow run to its end: a line per crawler and job as it ends, or all of them live."""
    shown: set[tuple[str, str]] = set()
    glue = stack.client("glue")
    if watch:
        with live_graph(terminal) as show:
            return await_workflow(glue, stack.workflow, run_id, show)
    with terminal.step("Run the Glue workflow") as step:

        def note(run: WorkflowRun) -> None:
            running = [node.name for node in run.nodes if node.state == "RUNNING"]
            step.note(", ".join(running) or run.status.lower())
            for node in run.nodes:
                if node.state == "SUCCEEDED" and (node.kind, node.name) not in shown:
                    shown.add((node.kind, node.name))
                    found = crawl_told(stack.state.root / "logs", node) if node.kind == "crawler" else ""
                    terminal.say(f"    {node.kind} {node.name}  [dim]{node.seconds:.0f} s{found}[/dim]")

        run = await_workflow(glue, stack.workflow, run_id, note)
        step.result = counted({"crawlers": _count(run, "crawler"), "jobs": _count(run, "job")})
    return run


def _count(run: WorkflowRun, kind: str) -> int:
    return sum(node.kind == kind for node in run.nodes)


def follow_or_start_workflow(stack: Stack, terminal: Terminal, watch: bool = False) -> WorkflowRun:
    """Follow the run that goes on, where one does; else start one."""
    glue = stack.client("glue")
    running = [run for run in latest_workflow_runs(glue, stack.workflow) if not run.ended]
    run_id = running[0].run_id if running else start_workflow(glue, stack.workflow)
    return follow_workflow(stack, terminal, run_id, watch)


@says_why
def export(
    mode: Annotated[
        Mode, typer.Option(help="full also finds what was deleted at the source.")
    ] = Mode.incremental,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only these resource types.")] = None,
    since: Annotated[str | None, typer.Option(help="Instead of the watermark (ISO 8601).")] = None,
    accept_errors: Annotated[
        bool, typer.Option("--accept-errors", help="Move the watermark past what could not be exported.")
    ] = False,
    redrive: Annotated[
        str | None, typer.Option(help="Land this export job, which ended and did not land.")
    ] = None,
    follow: Annotated[
        bool, typer.Option(help="Also follow the Glue workflow that the export starts.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Export from HealthLake through the Step Functions workflow, which then starts the Glue workflow."""
    stack, terminal = current_stack().require_deployed(), Terminal(as_json)
    request: dict[str, Any] = {"mode": mode.value}
    request |= {"types": types} if types else {}
    request |= {"since": since} if since else {}
    request |= {"acceptErrors": True} if accept_errors else {}
    request |= {"redrive": redrive} if redrive else {}
    output = dict(run_export(stack, terminal, request))
    done = follow_export(stack, terminal, output) if follow else None
    if done is not None:
        output |= {"workflowRunId": done.run_id, "workflow": done.status}
    terminal.say('Next: [bold]watershed query "select count(*) from curated.patient"[/bold]')
    terminal.emit(output)


@says_why
def run(
    watch: Annotated[bool, typer.Option("--watch", help="Show the whole graph, live.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the latest run from what failed in it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the Glue workflow: crawl what landed, conform it, curate and publish."""
    stack, terminal = current_stack().require_deployed(), Terminal(as_json)
    watch = watch and not as_json
    if resume:
        run_id = resume_workflow(stack.client("glue"), stack.workflow)
        done = follow_workflow(stack, terminal, run_id, watch)
    else:
        done = follow_or_start_workflow(stack, terminal, watch)
    terminal.emit(
        {
            "runId": done.run_id,
            "status": done.status,
            "nodes": [
                {"kind": n.kind, "name": n.name, "state": n.state, "seconds": n.seconds} for n in done.nodes
            ],
        }
    )
