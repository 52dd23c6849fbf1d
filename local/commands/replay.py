"""``watershed replay``: drive item changes again from where they got stuck, and say what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from infra.settings import Settings
from infra.settings_file import aws_settings
from local.commands.options import Json, current_stack, says_why
from local.errors import LocalError
from local.replay import Place, Replayed, replay_failures, replay_quarantine, reread_landing
from local.terminal import Terminal, counted


class Source(StrEnum):
    items = "items"


class From(StrEnum):
    failures = "failures"
    quarantine = "quarantine"
    landing = "landing"


_REPLAYS: dict[From, Callable[[Place, datetime | None], Replayed]] = {
    From.failures: replay_failures,
    From.quarantine: replay_quarantine,
    From.landing: reread_landing,
}
OnAws = Annotated[
    bool,
    typer.Option(
        "--aws", help="Work on the deployment of watershed.yaml and WATERSHED_*, not on the local one."
    ),
]


def moment(text: str | None) -> datetime | None:
    """A time from the command line; UTC where it names no offset.

    Raises
    ------
    LocalError : not ISO 8601
    """
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise LocalError(f"{text!r} is no time.", "Give ISO 8601, such as 2026-11-25T08:00:00Z") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def deployment(on_aws: bool) -> tuple[Settings, Callable[[str], Any]]:
    """The settings of the deployment meant, and what makes its clients.

    Raises
    ------
    SettingsError, NotUp, NotDeployed : there is none
    """
    if on_aws:
        import boto3

        settings = aws_settings(os.environ)
        session = boto3.Session(region_name=settings.region)
        return settings, session.client
    stack = current_stack().require_deployed()
    return stack.settings, stack.client


def place_of(settings: Settings, client: Callable[[str], Any]) -> Place:
    return Place(client("s3"), settings.bucket("landing"), settings.bucket("failures"))


@says_why
def replay(
    source: Annotated[Source, typer.Option(help="What to replay.")] = Source.items,
    from_: Annotated[
        list[From] | None,
        typer.Option("--from", help="failures and quarantine unless given; can be repeated."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only objects written at or after this time (ISO 8601).")
    ] = None,
    on_aws: OnAws = False,
    as_json: Json = False,
) -> None:
    """Drive item changes again that got stuck; safe to repeat, and says what it did."""
    terminal = Terminal(as_json)
    place, after = place_of(*deployment(on_aws)), moment(since)
    done = []
    for each in from_ or (From.failures, From.quarantine):
        with terminal.step(f"Replay {source.value} from {each.value}") as step:
            replayed = _REPLAYS[each](place, after)
            step.result = said(replayed)
        for key in replayed.unreadable or ():
            terminal.say(f"    [yellow]nothing to replay in[/yellow] {key}")
        done.append(replayed)
    if any(each.unreadable for each in done):
        terminal.say("What is lost for the stream comes back with: [bold]watershed items backfill[/bold]")
    if any(each.landed or each.rereads for each in done):
        terminal.say("Next: [bold]watershed run[/bold] merges what landed")
    terminal.emit({"source": source.value, "replayed": [each.as_dict() for each in done]})


def said(replayed: Replayed) -> str:
    """What a replay did, for people."""
    counts = {
        "objects": replayed.objects,
        "records landed": replayed.landed,
        "records refused again": replayed.refused,
        "new landing objects": replayed.new_objects,
        "landing objects to be read again": replayed.rereads,
    }
    return counted(counts) or "nothing there"
