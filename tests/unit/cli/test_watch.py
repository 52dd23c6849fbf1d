"""What `watershed run --watch` draws of a run."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from local.terminal import Terminal
from local.watch import graph_table, live_graph
from local.workflow_run import NodeRun, WorkflowRun

CRAWLED = NodeRun("crawler", "landing-items", "SUCCEEDED", 3)
RUNNING = NodeRun("job", "conform-items", "RUNNING", 12)
FAILED = NodeRun("job", "conform-items", "FAILED", 15, "no such module")


def _drawn(run: WorkflowRun) -> list[str]:
    console = Console(file=StringIO(), width=100)
    console.print(graph_table(run))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_run_shows_what_is_done_what_runs_and_what_waits() -> None:
    run = WorkflowRun("wr_0123456789abcdef", "RUNNING", (CRAWLED, RUNNING), (("job", "curate"),))
    assert _drawn(run) == [
        "running wr_0123456789a…",
        "✓ crawler landing-items succeeded 3 s",
        "▶ job conform-items running 12 s",
        "· job curate waiting",
    ]


def test_what_waited_when_a_run_ended_was_skipped() -> None:
    run = WorkflowRun("wr_0123456789abcdef", "COMPLETED", (CRAWLED, FAILED), (("job", "curate"),))
    assert _drawn(run)[-2:] == ["✗ job conform-items failed: no such module 15 s", "– job curate skipped"]


def test_in_a_pipe_only_the_end_is_shown() -> None:
    said = StringIO()
    with live_graph(Terminal(console=Console(file=said, width=100))) as show:
        show(WorkflowRun("wr_1", "RUNNING", (RUNNING,)))
        show(WorkflowRun("wr_1", "COMPLETED", (CRAWLED,)))
    assert "landing-items" in said.getvalue()
    assert "running" not in said.getvalue()
