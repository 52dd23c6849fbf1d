"""A compiled view: the steps that turn a frame of parsed resources into the rows of the view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from glue_jobs.sql_on_fhir.columns import Output

ROOT = "_r"  # the column of parsed resources that every expression starts from


@dataclass(frozen=True)
class Keep:
    """Keep the rows for which `condition` is true."""

    condition: str


@dataclass(frozen=True)
class Let:
    """Name an expression, so that it is computed once however often it is used."""

    name: str
    sql: str


@dataclass(frozen=True)
class Unnest:
    """One row per item of an array: `generator` (explode, posexplode, inline ...) makes the columns `names`."""

    generator: str
    names: tuple[str, ...]


Step = Keep | Let | Unnest


@dataclass(frozen=True)
class CompiledView:
    """`steps` in order, then `outputs`."""

    name: str
    resource: str
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]

    def with_sql(self, change: Callable[[str], str]) -> CompiledView:
        """This view with all of its SQL changed."""
        steps = tuple(_with_sql(step, change) for step in self.steps)
        return replace(self, steps=steps, outputs=tuple(_changed(output, change) for output in self.outputs))


def _with_sql(step: Step, change: Callable[[str], str]) -> Step:
    match step:
        case Keep():
            return Keep(change(step.condition))
        case Let():
            return Let(step.name, change(step.sql))
        case Unnest():
            return Unnest(change(step.generator), step.names)


def _changed(output: Output, change: Callable[[str], str]) -> Output:
    misfit = None if output.misfit is None else change(output.misfit)
    return replace(output, sql=change(output.sql), misfit=misfit)
