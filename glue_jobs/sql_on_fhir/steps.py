"""A compiled view: the steps that turn a frame of parsed resources into the rows of the view."""

from __future__ import annotations

from dataclasses import dataclass

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
    """`steps` in order, then `outputs`.

    `depths` has an expression for each repeat that says how many levels a resource has, if compiled to measure.
    """

    name: str
    resource: str
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    repeats: bool = False
    depths: tuple[str, ...] = ()
