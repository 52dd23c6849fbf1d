"""``watershed erase``: a subject out of the lake, its history and snapshots, and the landing zone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glue_jobs.erasure.subject import parse_subject
from glue_jobs.lake.errors import ArgumentError
from local.commands.options import Json, current_stack, says_why
from local.erasure import await_erasure, finish_erasure, require_idle, start_erasure
from local.errors import LocalError
from local.terminal import Terminal
from schemas.item_type import load_item_types


@says_why
def erase(
    resource: Annotated[
        str | None, typer.Option(help="A FHIR resource, Type/id, and what refers to it.")
    ] = None,
    item: Annotated[
        str | None, typer.Option(help="An item: TYPE/KEY or TYPE/KEY/SORT_KEY, TYPE an item type.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Erase a subject from every table, its history and snapshots, and from what has landed.

    Delete it at the source first: what is erased here does not come back, but stays there.
    """
    try:
        parse_subject(resource, item, load_item_types())
    except ArgumentError as error:
        raise LocalError(f"{error.problem}.", error.remedy) from None
    stack, terminal = current_stack().require_deployed(), Terminal(as_json)
    s3, glue, settings = stack.client("s3"), stack.client("glue"), stack.settings
    require_idle(glue, settings)
    request = {"resource": resource} if resource else {"item": str(item)}
    with terminal.step("Erase") as step:
        key, run_id = start_erasure(s3, glue, settings, request)
        await_erasure(glue, settings, run_id, step.note)
        report = finish_erasure(s3, settings, key)
        step.result = _summary(report)
    for table in report["tables"]:
        if table["rows"]:
            terminal.say(f"    {table['table']}  [dim]{table['rows']} rows[/dim]")
    for name, count in report["stays"].items():
        terminal.say(f"    still named in {name}: {count}")
    terminal.emit(report)


def _summary(report: dict[str, Any]) -> str:
    rows = sum(table["rows"] for table in report["tables"])
    snapshots = sum(table["expired_snapshots"] for table in report["tables"])
    lines = sum(report["objects"].values())
    return (
        f"{rows} rows, {lines} landed lines in {len(report['objects'])} objects,"
        f" {snapshots} snapshots, {report['versions']} versions of objects"
    )
