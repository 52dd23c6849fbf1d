"""The public face: compile ViewDefinitions once, run them over frames or files of JSON resources.

plan = compile_views([view_json, ...])
rows = plan.run(resources)                       # a frame with a column of JSON text
rows = plan.read(spark, ["s3://bucket/fhir/"])   # NDJSON files
rows["patients"].write ...
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from glue_jobs.sql_on_fhir.errors import SqlOnFhirError, ViewDefinitionError
from glue_jobs.sql_on_fhir.flatten import Options, compile_view
from glue_jobs.sql_on_fhir.needs import Need, root_need
from glue_jobs.sql_on_fhir.parsing import parse_files, parse_frame
from glue_jobs.sql_on_fhir.session import suit_session
from glue_jobs.sql_on_fhir.sql import quote_name
from glue_jobs.sql_on_fhir.steps import CompiledView, Keep, Let, Unnest
from glue_jobs.sql_on_fhir.views import View, parse_view

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What repeats are measured with, in turn: so many levels, or as many as need no more than so many keys. One path adds
# its keys once a level, two add them 2, 4, 8, ... times, and Spark plans for about 5 ms a key.
_TRIALS = ((8, 200), (16, 1_600), (32, 12_800), (64, 12_800))


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

        `resources` has one JSON resource per row, as text. Lazy, except that a view with `repeat` first measures
        how deep the data goes. Lines that cannot be read give no row: see `problems`.
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
        plan = self._measured(parse)
        frames: dict[str, DataFrame] = {}
        shared: list[DataFrame] = []
        for type_plan in plan.types:
            parsed = parse(type_plan.need)
            if len(type_plan.views) > 1:
                # Parsing dwarfs everything else: parse once, keep the needed fields, spill what memory lacks.
                parsed = parsed.persist()
                shared.append(parsed)
            for view in type_plan.views:
                frames[view.name] = flatten(parsed, view, carry)
        return ViewFrames({name: frames[name] for name in self.views}, shared)

    def _measured(self, parse: Callable[[Need], DataFrame]) -> Plan:
        """This plan with its repeats written out exactly as deep as the data is."""
        if not any(view.repeats for view in self.views.values()):
            return self
        levels = 0
        for measuring in self.measuring():
            levels = measuring.options.depth
            depth = _deepest(measuring, parse)
            if depth <= levels:
                return _compile(self.definitions, replace(self.options, depth=max(depth, 1)))
        raise SqlOnFhirError(f"repeat goes deeper than {levels} levels in this data")

    def measuring(self) -> Iterator[Plan]:
        """Plans that measure how deep the data goes, each for more levels than the one before."""
        repeats = tuple(view for view in self.definitions if self.views[view.name].repeats)
        levels = 0
        for most, keys in _TRIALS:
            plan: Plan | None = None
            for depth in range(levels + 1, most + 1):
                deeper = _compile(repeats, replace(self.options, depth=depth, measure=True))
                if depth > 1 and any(need.size() > keys for need in deeper.needs.values()):
                    break
                plan, levels = deeper, depth
            if plan is not None:
                yield plan


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
    needs: dict[str, Need] = {}
    compiled: dict[str, list[CompiledView]] = {}
    for view in definitions:
        need = needs.setdefault(view.resource, root_need(view.resource))
        compiled.setdefault(view.resource, []).append(compile_view(view, need, options))
    types = tuple(TypePlan(name, needs[name], tuple(views)) for name, views in compiled.items())
    return Plan(definitions, types, options)


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


def _deepest(plan: Plan, parse: Callable[[Need], DataFrame]) -> int:
    """The deepest level that any repeat of any view has in the data; one more than the plan's for anything deeper."""
    deepest = 0
    for type_plan in plan.types:
        expressions = [depth for view in type_plan.views for depth in view.depths]
        if expressions:
            row = parse(type_plan.need).selectExpr(*(f"max({sql})" for sql in expressions)).first()
            deepest = max([deepest, *(value for value in row or () if value is not None)])
    return deepest
