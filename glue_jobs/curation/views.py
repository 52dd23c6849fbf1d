"""Refreshing views: the rows of changed resources are replaced, those of deleted ones go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from glue_jobs.curation.audit import check_suite
from glue_jobs.curation.declarations import CURATED, view_fingerprint
from glue_jobs.curation.publish import Change
from glue_jobs.curation.resources import RESOURCES, Resources, least
from glue_jobs.curation.state import TableState, read_state
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    current_snapshot,
    ensure_table,
    iceberg_table,
    quoted,
)
from glue_jobs.sql_on_fhir import compile_views
from schemas.expectation import Suite
from schemas.view import View


@dataclass(frozen=True)
class ViewTable:
    """A view, its table (made, with its columns) and what the table holds so far.

    ``is_blank`` says that nothing was ever written to the table.
    """

    view: View
    full_name: str
    columns: tuple[str, ...]
    state: TableState
    fingerprint: str
    is_blank: bool = False

    @property
    def watermark(self) -> str:
        """The greatest run id of the resources in the table; empty where it must be rebuilt."""
        consumed = self.state.inputs.get(RESOURCES)
        return consumed.run_id if consumed and self.state.definition == self.fingerprint else ""

    @property
    def is_current(self) -> bool:
        """Whether the table was made from its present definition."""
        return self.state.definition == self.fingerprint


@dataclass(frozen=True)
class ViewUpdate:
    """What one view's table is to become."""

    table: ViewTable
    change: Change
    state: TableState


def prepare_views(run: Run, views: Mapping[str, View], suites: Mapping[str, Suite]) -> list[ViewTable]:
    """Make or widen the tables of the views, after every declaration was checked.

    Raises
    ------
    ViewDefinitionError : a view does not compile
    SchemaError : a suite names a column that its view lacks
    TableError : a column changed its type in a way that needs a new name
    """
    if not views:
        return []
    plan = compile_views([view.definition for view in views.values()])
    frames = plan.run(run.spark.createDataFrame([], "resource string"))
    for name in views:
        check_suite(suites[name], frames[name].columns)
    return [_prepare(run, view, frames[name]) for name, view in views.items()]


def _prepare(run: Run, view: View, frame: DataFrame) -> ViewTable:
    comments = {column.name: column.description for column in view.columns}
    columns = tuple(
        Column(each.name, each.dataType.simpleString(), comments.get(each.name, ""))
        for each in frame.schema.fields
    )
    full_name = ensure_table(
        run.spark, run.catalog, TableSpec(f"{CURATED}.{view.name}", columns, view.description)
    )
    table = iceberg_table(run.spark, full_name)
    state = TableState() if run.arguments.full else read_state(table)
    is_blank = current_snapshot(table) is None
    return ViewTable(view, full_name, tuple(frame.columns), state, view_fingerprint(view), is_blank)


def view_updates(run: Run, tables: list[ViewTable], resources: Resources) -> list[ViewUpdate]:
    """The updates of views whose resources changed, or that are new or redefined; in order of type.

    Resources of a type are read and parsed once for all its views, from the oldest watermark among them;
    a view that has seen some of them already replaces their rows by the same rows.
    """
    by_type: dict[str, list[ViewTable]] = {}
    for table in tables:
        by_type.setdefault(table.view.resource, []).append(table)
    rebuilt = {kind: [each for each in of if not each.is_current] for kind, of in by_type.items()}
    followed = {kind: [each for each in of if each.is_current] for kind, of in by_type.items()}
    changed = resources.changed_since(
        {
            kind: "" if rebuilt[kind] else least(each.watermark for each in of)
            for kind, of in by_type.items()
            if rebuilt[kind] or any(_behind(each, resources) for each in of)
        }
    )
    updates: list[ViewUpdate] = []
    for kind in sorted(by_type):
        count, latest = changed.get(kind, (0, ""))
        run.read(kind, count)
        # Where no resource of a type exists, a blank table is what its view gives: nothing to write or audit.
        stale = [each for each in rebuilt[kind] if count or not each.is_blank]
        if stale:
            updates += _updates(run.spark, resources, stale, "", latest, rebuild=True)
        behind = [each for each in followed[kind] if latest > each.watermark]
        if behind:
            after = least(each.watermark for each in behind)
            updates += _updates(run.spark, resources, behind, after, latest, rebuild=False)
    return updates


def _behind(table: ViewTable, resources: Resources) -> bool:
    consumed = table.state.inputs.get(RESOURCES)
    return consumed is None or consumed.snapshot_id != resources.snapshot_id


def _updates(
    spark: SparkSession,
    resources: Resources,
    tables: list[ViewTable],
    after: str,
    latest: str,
    *,
    rebuild: bool,
) -> list[ViewUpdate]:
    kind = tables[0].view.resource
    plan = compile_views([table.view.definition for table in tables])
    living = resources.of_type(kind, after).where(~F.col("is_deleted")).select("resource")
    frames = plan.run(living)
    keys = None if rebuild else resources.keys(kind, after)
    return [
        ViewUpdate(
            table,
            Change(frames[table.view.name].select(*map(quoted, table.columns)), keys),
            TableState(table.fingerprint, {RESOURCES: resources.consumed(latest)}),
        )
        for table in tables
    ]
