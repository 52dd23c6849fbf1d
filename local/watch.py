"""A workflow run, live: every crawler and job of its graph, and how far each is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from local.terminal import Terminal
from local.workflow_run import WorkflowRun

_MARKS = {
    "SUCCEEDED": "[green]✓[/green]",
    "RUNNING": "[yellow]▶[/yellow]",
    "STARTING": "[yellow]▶[/yellow]",
    "waiting": "[dim]·[/dim]",
    "skipped": "[dim]–[/dim]",
}
_FAILED = "[red]✗[/red]"


def graph_table(run: WorkflowRun) -> Table:
    """One line a crawler or job: its mark, kind, name, state and seconds; what never started comes last."""
    table = Table(
        box=None, show_header=False, title=f"{run.status.lower()}  {run.run_id[:14]}…", title_justify="left"
    )
    for node in run.nodes:
        state = node.state.lower() + (f": {node.error}" if node.error else "")
        seconds = f"{node.seconds:.0f} s" if node.seconds else ""
        table.add_row(_MARKS.get(node.state, _FAILED), node.kind, escape(node.name), escape(state), seconds)
    unstarted = "skipped" if run.ended else "waiting"
    for kind, name in run.waiting:
        table.add_row(_MARKS[unstarted], kind, escape(name), unstarted, "")
    return table


@contextmanager
def live_graph(terminal: Terminal) -> Iterator[Callable[[WorkflowRun], None]]:
    """Shows the run that it is told of, drawn anew each time; in a pipe only as it was at the end."""
    with Live(console=terminal.console, refresh_per_second=4) as live:
        yield lambda run: live.update(graph_table(run))
