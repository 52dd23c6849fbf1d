"""What the commands share: their common options, and how an error becomes a clean message and exit code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from infra.assembly import SynthesisError
from infra.packaging import PackagingError
from infra.preflight import PreflightError
from infra.settings import SettingsError
from infra.toolkit import ToolkitError
from lambdas.shared.healthlake_http import HealthLakeError
from local.deploy import DeployError
from local.emulator.process import EmulatorError
from local.errors import LocalError
from local.healthlake.launcher import HealthLakeNotRunningError
from local.query import QueryError
from local.sample.population import PopulationError
from local.stack import Stack
from local.state import find_state
from schemas import SchemaError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
Deid = Annotated[bool, typer.Option("--deid", help="Keep the de-identified twin of the curated tables too.")]

EXIT_FAILED = 1
EXPECTED_ERRORS = (
    LocalError,
    EmulatorError,
    HealthLakeNotRunningError,
    HealthLakeError,
    DeployError,
    SynthesisError,
    PackagingError,
    QueryError,
    SettingsError,
    PreflightError,
    ToolkitError,
    SchemaError,
    PopulationError,
)
"""Errors whose text is written for the user. Anything else is a bug and keeps its traceback."""

P = ParamSpec("P")
R = TypeVar("R")


def current_stack() -> Stack:
    """The stack of the working folder."""
    return Stack(find_state())


def report(error: Exception) -> None:
    """Say on standard error what failed, why, and what to do."""
    first, _, rest = str(error).partition("\n")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[red]Error:[/red] {escape(first)}")
    if rest:
        console.print(escape(rest))


def says_why(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an expected error of a command into its message and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except EXPECTED_ERRORS as error:
            report(error)
            raise typer.Exit(EXIT_FAILED) from None

    return run
