"""``watershed status``: what is up, how exports and runs ended, what the tables and the quarantine hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.commands.options import Json, current_stack, says_why
from local.commands.query import ask
from local.gaps import Gap, find_gaps
from local.query import QueryError
from local.stack import Stack
from local.table_summary import TableSummary, table_summaries
from local.terminal import Terminal
from local.workflow_run import latest_workflow_runs
from schemas.declaration import declaration_files
from schemas.model import MODELS_DIR
from schemas.view import VIEWS_DIR

_QUARANTINE = (
    "select case when source = 'curated' then object_key else source end as source, reason, count(*) as lines"
    " from ops.quarantine group by 1, 2 order by 1, 2"
)
_CURRENT = "select max(started_at) from ops.run where job = 'curate' and status = 'succeeded'"
_LAST_CURATE = "select detail from ops.run where job = 'curate' order by run_id desc limit 1"


def read_status(stack: Stack) -> dict[str, Any]:
    """Everything ``status`` shows, as one object."""
    status: dict[str, Any] = {
        "up": stack.is_up,
        "deployed": stack.is_deployed,
        "state": str(stack.state.root),
    }
    if not stack.is_up:
        return status
    status |= {"emulator": stack.emulator.endpoint, "healthlake": stack.healthlake.url}
    if not stack.is_deployed:
        return status
    tables = table_summaries(stack.emulator.endpoint)
    return status | {
        "export": _last_export(stack),
        "runs": [
            {"id": run.run_id, "status": run.status, "failed": [node.name for node in run.failed]}
            for run in latest_workflow_runs(stack.client("glue"), stack.workflow, 5)
        ],
        "tables": [each.as_dict() for each in tables],
        "current_as_of": _current_as_of(stack),
        "not_made": _not_made(stack),
        "left_over": _left_over(tables),
        "quarantine": _quarantine(stack),
        "data_docs": stack.data_docs.as_uri() if stack.data_docs else None,
        "gaps": [each.as_dict() for each in _gaps(stack)],
    }


def _last_export(stack: Stack) -> dict[str, Any]:
    reply = stack.client("dynamodb").get_item(
        TableName=stack.settings.name("export-state"), Key={"id": {"S": "RUN"}}, ConsistentRead=True
    )
    item = reply.get("Item", {})
    wanted = {"runStatus": "status", "lastRunTime": "watermark", "exportJobId": "job"}
    return {shown: item[name]["S"] for name, shown in wanted.items() if name in item}


def _gaps(stack: Stack) -> list[Gap]:
    return find_gaps(
        stack.client("s3"),
        stack.client("cloudwatch"),
        stack.settings.bucket("failures"),
        stack.settings.name("land-item-changes"),
    )


def _current_as_of(stack: Stack) -> str | None:
    """When the last run that brought every curated table up to date began; of what landed before, all is in them."""
    try:
        (row,) = ask(stack, _CURRENT).rows
    except QueryError:
        return None  # no run yet
    return row[0].isoformat(timespec="seconds").replace("+00:00", "Z") if row[0] else None


def _not_made(stack: Stack) -> dict[str, str]:
    """Tables that the last run of curate could not make at all, and the kind of error; the data docs say more."""
    try:
        rows = ask(stack, _LAST_CURATE).rows
    except QueryError:
        return {}  # no run yet
    detail = json.loads(rows[0][0] or "{}") if rows else {}
    failed = detail.get("failed", {}).items()
    return {name if "." in name else f"curated.{name}": str(error) for name, error in failed}


def _left_over(tables: Sequence[TableSummary]) -> list[str]:
    """Curated tables that no declaration makes any more: they stay as they were."""
    files = (*declaration_files(VIEWS_DIR, ".json"), *declaration_files(MODELS_DIR, ".yaml"))
    declared = {f"curated.{file.stem}" for file in files}
    return [each.table for each in tables if each.table.startswith("curated.") and each.table not in declared]


def _quarantine(stack: Stack) -> list[dict[str, Any]]:
    try:
        result = ask(stack, _QUARANTINE)
    except QueryError:
        return []  # no run yet: the table comes with the first
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


@says_why
def status(as_json: Json = False) -> None:
    """Show what is up, the last export and runs, the tables with rows and freshness, and the quarantine."""
    stack, terminal = current_stack(), Terminal(as_json)
    shown = read_status(stack)
    terminal.emit(shown)
    if not shown["up"]:
        terminal.say("The local stack is down. Start it with: [bold]watershed up[/bold]")
        return
    terminal.say(f"Emulator   {shown['emulator']}\nHealthLake {shown['healthlake']}")
    if not shown["deployed"]:
        terminal.say("Nothing is deployed. Deploy with: [bold]watershed deploy[/bold]")
        return
    export = shown["export"]
    terminal.say(f"Export     {export.get('status', 'none yet')}, watermark {export.get('watermark', '-')}")
    terminal.table(
        "Runs",
        ("run", "status", "failed"),
        [(r["id"], r["status"], ", ".join(r["failed"])) for r in shown["runs"]],
    )
    _say_tables(terminal, shown)
    if shown["quarantine"]:
        terminal.table(
            "Quarantine", ("source", "reason", "lines"), [tuple(q.values()) for q in shown["quarantine"]]
        )
    if shown["data_docs"]:
        terminal.say(f"Data docs  {shown['data_docs']}")
    for gap in shown["gaps"]:
        terminal.say(
            f"[yellow]Gap[/yellow]        {gap['found']}\n           mend it with: [bold]{gap['command']}[/bold]"
        )


def _say_tables(terminal: Terminal, shown: Mapping[str, Any]) -> None:
    """The tables, and of which of them that is not the whole story."""
    terminal.table(
        "Tables",
        ("table", "rows", "last changed", "snapshot"),
        [(t["table"], t["rows"], t["published"], t["snapshot"]) for t in shown["tables"]],
    )
    if shown["current_as_of"]:
        terminal.say(f"Current    as of {shown['current_as_of']}: what landed before is in the tables above")
    for table in filter(lambda each: each["waiting"], shown["tables"]):
        terminal.say(
            f"[yellow]Behind[/yellow]     {table['table']} shows its last good version: newer rows, of"
            f" {table['waiting']}, failed their audit or are being audited"
        )
    for name, error in shown["not_made"].items():
        terminal.say(
            f"[yellow]Behind[/yellow]     {name} shows its last good version: the last run could not make it ({error})"
        )
    for name in shown["left_over"]:
        terminal.say(
            f"[yellow]Left over[/yellow]  {name}: nothing declares it any more, so it stays as it was"
        )
