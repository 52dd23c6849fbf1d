"""The public face: compile ViewDefinitions once, run them over frames or files of JSON resources.

plan = compile_views([view_json, ...])
rows = plan.run(resources)                       # a frame with a column of JSON text
rows = plan.read(spark, ["s3://bucket/fhir/"])   # NDJSON files
rows["patients"].write ...
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glue_jobs.sql_on_fhir.errors import ViewDefinitionError
from glue_jobs.sql_on_fhir.flatten import Options, compile_view, repeated_types
from glue_jobs.sql_on_fhir.needs import STRUCT, Need, fill_shapes, root_need
from glue_jobs.sql_on_fhir.parsing import parse_files, parse_frame
from glue_jobs.sql_on_fhir.session import suit_session
from glue_jobs.sql_on_fhir.sql import quote_name
from glue_jobs.sql_on_fhir.steps import CompiledView, Keep, Let, Unnest
from glue_jobs.sql_on_fhir.views import View, parse_view

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class ViewFrames(dict[str, "DataFrame"]):
    """The rows of views, by view name. Holds what they share; `release` (or the end of a `with`) lets it go.

    Frames stay valid after that, they only parse for themselves again.
    """

    def __init__(self, frames: Mapping[str, DataFrame], shared: Sequence[DataFrame]) -> None:
        super().__init__(frames)
        self.release: Callable[[], object] = weakref.finalize(self, _unpersist, tuple(shared))

    def __enter__(self) -> ViewFrames:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _unpersist(shared: Sequence[DataFrame]) -> None:
    for frame in shared:
        if frame.sparkSession._jsparkSession is not None and not frame.sparkSession._sc._jsc.sc().isStopped():
            frame.unpersist()


@dataclass(frozen=True)
class TypePlan:
    """All views of one resource type, and the one schema that feeds them."""

    resource: str
    need: Need
    views: tuple[CompiledView, ...]


@dataclass(frozen=True)
class Plan:
    """Compiled views; safe to run any number of times. Compiling touches neither Spark nor data."""

    definitions: tuple[View, ...]
    types: tuple[TypePlan, ...]
    options: Options

    @property
    def views(self) -> dict[str, CompiledView]:
        """Every view by name, in the order given."""
        compiled = {view.name: view for plan in self.types for view in plan.views}
        return {view.name: compiled[view.name] for view in self.definitions}

    @property
    def needs(self) -> dict[str, Need]:
        """What is read, by resource type."""
        return {plan.resource: plan.need for plan in self.types}

    def run(
        self, resources: DataFrame, *, resource_column: str = "resource", carry: Sequence[str] = ()
    ) -> ViewFrames:
        """The rows of every view; `carry` columns of the input come first in each row.

        `resources` has one JSON resource per row, as text. Lazy. Lines that cannot be read give no row: see
        `problems`.
        """
        return self._rows(carry, lambda need: parse_frame(resources, need, resource_column, carry))

    def read(self, spark: SparkSession, paths: Sequence[str]) -> ViewFrames:
        """The rows of every view over NDJSON files or folders, plain or gz: faster than `run` over their text."""
        alone = len(self.types) == 1
        return self._rows((), lambda need: parse_files(spark, paths, need, alone))

    def problems(
        self, resources: DataFrame, *, resource_column: str = "resource", carry: Sequence[str] = ()
    ) -> DataFrame:
        """What could not be read as it should: see `problems.frame_problems`."""
        from glue_jobs.sql_on_fhir.problems import frame_problems

        return frame_problems(resources, self.needs, resource_column, carry)

    def _rows(self, carry: Sequence[str], parse: Callable[[Need], DataFrame]) -> ViewFrames:
        suit_session()
        frames: dict[str, DataFrame] = {}
        shared: list[DataFrame] = []
        for type_plan in self.types:
            parsed = parse(type_plan.need)
            if len(type_plan.views) > 1:
                # Parsing dwarfs everything else: parse once, keep the needed fields, spill what memory lacks.
                parsed = parsed.persist()
                shared.append(parsed)
            for view in type_plan.views:
                frames[view.name] = flatten(parsed, view, carry)
        return ViewFrames({name: frames[name] for name in self.views}, shared)


def compile_views(views: Sequence[Mapping[str, object]], *, lexical: bool = False) -> Plan:
    """Compile ViewDefinitions, of any mix of resource types.

    `lexical` leaves instants and binaries in their FHIR form and ignores `ansi/type`, for JSON output.
    Raises ViewDefinitionError for the first thing that is wrong in any view.
    """
    parsed = tuple(parse_view(view, f"view_{index + 1}") for index, view in enumerate(views))
    names = [view.name for view in parsed]
    for name in names:
        if names.count(name) > 1:
            raise ViewDefinitionError(f"{names.count(name)} views are named {name}", location="name")
    return _compile(parsed, Options(lexical=lexical))


def _compile(definitions: tuple[View, ...], options: Options) -> Plan:
    by_type: dict[str, list[View]] = {}
    for view in definitions:
        by_type.setdefault(view.resource, []).append(view)
    types = tuple(_compile_type(resource, views, options) for resource, views in by_type.items())
    return Plan(definitions, types, options)


def _compile_type(resource: str, views: Sequence[View], options: Options) -> TypePlan:
    """All views of a resource type: what they read is known when the last is compiled, and filled in then."""
    need = root_need(resource)
    kinds = dict.fromkeys(kind for view in views for kind in repeated_types(view))
    shapes = {kind: Need(STRUCT, False, kind) for kind in kinds}
    compiled = [compile_view(view, need, shapes, options) for view in views]
    filled = tuple(view.with_sql(lambda sql: fill_shapes(sql, shapes)) for view in compiled)
    return TypePlan(resource, need, filled if shapes else tuple(compiled))


def flatten(parsed: DataFrame, view: CompiledView, carry: Sequence[str]) -> DataFrame:
    """The rows of a view from parsed resources."""
    frame = parsed
    for step in view.steps:
        match step:
            case Keep():
                frame = frame.where(step.condition)
            case Let():
                frame = frame.selectExpr("*", f"{step.sql} AS {step.name}")
            case Unnest():
                names = ", ".join(quote_name(name) for name in step.names)
                frame = frame.selectExpr("*", f"{step.generator} AS ({names})")
    columns = [f"{output.sql} AS {quote_name(output.name)}" for output in view.outputs]
    return frame.selectExpr(*(quote_name(name) for name in carry), *columns)
