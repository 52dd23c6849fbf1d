"""``watershed items``: what concerns the items of DynamoDB alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from infra.settings import Settings
from local.commands.options import Json, says_why
from local.commands.replay import OnAws, deployment, moment
from local.errors import LocalError
from local.item_exports import (
    Backfilled,
    ExportError,
    land_export,
    read_export,
    request_export,
    write_local_export,
)
from local.terminal import Terminal
from schemas import load_item_types

app = typer.Typer(help="The items of DynamoDB.", no_args_is_help=True)


@app.callback()
def items() -> None:
    """The items of DynamoDB."""


@app.command()
@says_why
def backfill(
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="A DynamoDB table; all declared ones unless given.")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(help="An export that exists: s3://…/AWSDynamoDB/<export id>/. Else one is made."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Export only what changed since then (ISO 8601), a minute before the gap or earlier."
        ),
    ] = None,
    on_aws: OnAws = False,
    as_json: Json = False,
) -> None:
    """Load items from a DynamoDB export: those from before the stream, and changes that it lost.

    The stream has to be read again for a minute before the export is made. Safe to repeat; the next run of
    the workflow brings what landed into the tables.
    """
    terminal = Terminal(as_json)
    settings, client = deployment(on_aws)
    after = moment(since)
    done = []
    if export is not None:
        if tables or since:
            raise LocalError("--export names one export, of one table.", "Leave out --table and --since.")
        place = urlsplit(export)
        if place.scheme != "s3" or not place.netloc:
            raise LocalError(f"{export!r} is no place in S3.", "Give s3://<bucket>/AWSDynamoDB/<export id>/")
        done.append(_land(terminal, settings, client, place.netloc, place.path.lstrip("/")))
    else:
        for table in tables or sorted({each.table_name for each in load_item_types().values()}):
            folder = _export(terminal, settings, client, table, after, on_aws)
            done.append(_land(terminal, settings, client, settings.bucket("exports"), folder))
    terminal.say("Next: [bold]watershed run[/bold] brings them into the conformed tables")
    terminal.emit({"backfilled": [asdict(each) for each in done]})


def _export(
    terminal: Terminal,
    settings: Settings,
    client: Callable[[str], Any],
    table: str,
    since: datetime | None,
    on_aws: bool,
) -> str:
    bucket = settings.bucket("exports")
    with terminal.step(f"Export {table}") as step:
        dynamodb = client("dynamodb")
        try:
            arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
        except dynamodb.exceptions.ResourceNotFoundException:
            raise ExportError(f"There is no table {table}.", "See the tables: schemas/items/") from None
        if on_aws:
            folder = request_export(dynamodb, arn, bucket, since, step.note)
        elif since is not None:
            raise ExportError(
                "The emulator knows no incremental export.", "Leave out --since: a full one mends any gap."
            )
        else:
            folder = write_local_export(dynamodb, client("s3"), arn, bucket)
        step.result = f"s3://{bucket}/{folder}"
    return folder


def _land(
    terminal: Terminal, settings: Settings, client: Callable[[str], Any], bucket: str, folder: str
) -> Backfilled:
    with terminal.step("Land the export") as step:
        s3 = client("s3")
        done = land_export(s3, settings.bucket("landing"), read_export(s3, bucket, folder), step.note)
        refused = f", {done.refused:,} refused" if done.refused else ""
        step.result = f"{done.items:,} items in {done.new_objects:,} new objects{refused}"
    return done
