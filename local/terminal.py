"""What the commands print: steps with counts and times for people, or one JSON object for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.box import ROUNDED
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

_MAX_CELL = 48


_PIPE_WIDTH = 160


def _console() -> Console:
    """As wide as the terminal; where there is none, wide enough for most tables."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=_PIPE_WIDTH)


@dataclass
class Step:
    """A step under way; ``note`` changes what the running line says, ``result`` what the ended line says."""

    title: str
    status: Status | None = None
    result: str = ""
    started: float = field(default_factory=time.monotonic)

    def note(self, text: str) -> None:
        if self.status is not None:
            self.status.update(f"{self.title}: {text}")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


@dataclass
class Terminal:
    """Where a command speaks. With ``as_json``, people's lines are dropped and ``emit`` prints the object."""

    as_json: bool = False
    console: Console = field(default_factory=_console)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A line that shows the step running, then its result and time; a failure is marked and raised on."""
        if self.as_json:
            yield Step(title)
            return
        status = self.console.status(title) if self.console.is_terminal else None
        step = Step(title, status)
        if status is not None:
            status.start()
        try:
            yield step
        except BaseException:
            self._end(step, "[red]failed[/red]", "✗")
            raise
        self._end(step, step.result, "✓")

    def _end(self, step: Step, result: str, mark: str) -> None:
        if step.status is not None:
            step.status.stop()
        colour = "green" if mark == "✓" else "red"
        said = f"  {result}" if result else ""
        self.console.print(
            f"[{colour}]{mark}[/{colour}] {step.title:<34}{said}  [dim]{step.seconds:.1f} s[/dim]"
        )

    def say(self, text: str = "") -> None:
        if not self.as_json:
            self.console.print(text)

    def table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = ""
    ) -> None:
        """A table for people: numbers to the right, nulls dim, long texts cut. One that is wider than the
        terminal is shown a record at a time, a line per column."""
        if self.as_json:
            return
        rows = list(rows)
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [max(len(name), *(len(row[i]) for row in cells), 0) for i, name in enumerate(columns)]
        if title:
            self.console.print(f"[bold]{title}[/bold]")
        if sum(widths) + 3 * len(widths) + 1 > self.console.width:
            self._records(columns, cells)
            return
        shown = Table(caption=caption or None, caption_justify="left", box=ROUNDED)
        for index, name in enumerate(columns):
            numeric = any(isinstance(row[index], int | float | Decimal) for row in rows)
            shown.add_column(name, justify="right" if numeric else "left", no_wrap=True)
        for row in cells:
            shown.add_row(*(_styled(text) for text in row))
        self.console.print(shown)

    def _records(self, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        width = max(len(name) for name in columns)
        for number, row in enumerate(cells, start=1):
            self.console.print(f"[dim]── {number} {'─' * (width + 20)}[/dim]")
            for name, text in zip(columns, row, strict=True):
                self.console.print(f"{name:<{width}}  {_styled(text)}")

    def emit(self, value: Mapping[str, Any]) -> None:
        """The one object a program reads; nothing for people."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, default=str) + "\n")
            # A command that goes on is read while it does.
            sys.stdout.flush()


_NULL = "null"


def _cell(value: Any) -> str:
    if value is None:
        return _NULL
    if isinstance(value, datetime):
        text = value.isoformat(sep=" ", timespec="seconds" if not value.microsecond else "milliseconds")
    else:
        text = str(value)
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…"


def _styled(text: str) -> str:
    return f"[dim]{_NULL}[/dim]" if text == _NULL else escape(text)


def counted(counts: Mapping[str, int]) -> str:
    """``{"Patient": 3, "Encounter": 1}`` as ``3 Patient, 1 Encounter``."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def row_count(count: int) -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{count:,} row{'' if count == 1 else 's'}"
