"""``watershed query``: Athena SQL on the tables of the local catalog."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Annotated

import typer

from local.commands.options import Json, current_stack, says_why
from local.query import QueryResult, moment, run_query
from local.stack import Stack
from local.terminal import Terminal, row_count


def ask(stack: Stack, sql: str, as_of: datetime | None = None) -> QueryResult:
    """The answer to an Athena SQL statement over the emulator's Glue Data Catalog, now or as it was then."""
    return run_query(sql, stack.emulator.endpoint, as_of=as_of)


@says_why
def query(
    sql: Annotated[str, typer.Argument(help="Athena SQL, or - to read it from standard input.")],
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many rows; --json prints all.")] = 100,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Ask the tables as they were then: 2025-01-31T12:00Z, or a date."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask Athena SQL of the curated, conformed, landing and ops tables.

    For example: watershed query "select gender, count(*) from curated.patient group by gender"
    """
    then = None if as_of is None else moment(as_of)
    stack, terminal = current_stack().require_deployed(), Terminal(as_json)
    started = time.monotonic()
    result = ask(stack, sys.stdin.read() if sql == "-" else sql, then)
    terminal.table("", result.columns, result.rows[:limit])
    more = f", the first {limit:,} shown" if len(result.rows) > limit else ""
    terminal.say(f"[dim]{row_count(len(result.rows))}{more}, {time.monotonic() - started:.1f} s[/dim]")
    terminal.emit({"columns": result.columns, "types": result.types, "rows": result.rows})
