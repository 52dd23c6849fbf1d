"""The ``watershed`` command."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from local.commands import (
    aws,
    console,
    demo,
    erase,
    items,
    lifecycle,
    pipeline,
    query,
    replay,
    sample,
    status,
    view,
)

app = typer.Typer(
    name="watershed",
    help="An open lake-house for health data on AWS, here on one machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)

# A statement may begin with a comment, as all in docs/queries do: that is no option.
_SETTINGS: Mapping[Callable[..., None], dict[str, bool]] = {query.query: {"ignore_unknown_options": True}}

for command in (
    demo.demo,
    lifecycle.up,
    lifecycle.deploy,
    sample.seed,
    sample.change,
    pipeline.export,
    pipeline.run,
    replay.replay,
    query.query,
    status.status,
    console.console,
    erase.erase,
    lifecycle.down,
    aws.bootstrap,
    aws.diff,
    aws.destroy,
):
    app.command(context_settings=_SETTINGS.get(command))(command)
app.add_typer(view.app, name="view")
app.add_typer(items.app, name="items")


def main() -> None:
    """The entry point of ``watershed``."""
    app()
