"""Refreshing views: the rows of changed resources are replaced, those of deleted ones go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from glue_jobs.curation.audit import check_suite
from glue_jobs.curation.declarations import CURATED, view_fingerprint
from glue_jobs.curation.publish import Change, has_refused
from glue_jobs.curation.resources import RESOURCES, News, Resources, least
from glue_jobs.curation.rows import Identity
from glue_jobs.curation.state import TableState, read_state
from glue_jobs.lake.layout import apply_layout
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    current_snapshot,
    ensure_table,
    iceberg_table,
    row_count,
)
from glue_jobs.sql_on_fhir import CompiledView, compile_views
from schemas.expectation import Suite
from schemas.layout import DEFAULT_LAYOUTS, Layout, Layouts
from schemas.view import KEY_COLUMN, View


@dataclass(frozen=True)
class ViewTable:
    """A view, its table (made, with its columns) and what the table holds so far.

    ``is_blank`` says that nothing was ever written to the table, ``rows`` how many it shows, ``has_refused`` that
    rows of an earlier run wait on a branch.
    """

    view: View
    full_name: str
    columns: tuple[str, ...]
    state: TableState
    fingerprint: str
    is_blank: bool = False
    rows: int = 0
    has_refused: bool = False

    @property
    def watermark(self) -> str:
        """The greatest run id of the resources in the table; empty where it must be rebuilt."""
        consumed = self.state.inputs.get(RESOURCES)
        return consumed.run_id if consumed and self.is_current else ""

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


@dataclass(frozen=True)
class TypeUpdate:
    """Tables of one resource type that are to follow the resources whose run ids are above ``after``.

    ``rebuild`` replaces all their rows, else those of the changed resources are.
    """

    resources: Resources
    resource_type: str
    tables: tuple[ViewTable, ...]
    news: News
    after: str = ""
    rebuild: bool = False

    @property
    def size(self) -> int:
        """Rows to be made, roughly."""
        return self.news.count * len(self.tables)

    @contextmanager
    def views(self) -> Iterator[list[ViewUpdate]]:
        """The update of each table; the resources are read and parsed once for all that is done inside.

        A view that has seen some of them already replaces their rows by the same rows.
        """
        plan = compile_views([table.view.definition for table in self.tables])
        keys = None if self.rebuild else self.resources.keys(self.resource_type, self.after)
        identity = Identity((KEY_COLUMN,), self.resource_type)
        consumed = {RESOURCES: self.resources.consumed(self.news.latest)}
        living = self.resources.living(self.resource_type, self.after)
        few = keys is not None and keys.few is not None
        with plan.run(living.coalesce(1) if few else living) as frames:
            yield [
                ViewUpdate(
                    table,
                    Change(frames[table.view.name], keys, identity, in_one_task=few),
                    TableState(table.fingerprint, consumed),
                )
                for table in self.tables
            ]


def prepare_views(
    run: Run, views: Mapping[str, View], suites: Mapping[str, Suite], layouts: Layouts = DEFAULT_LAYOUTS
) -> list[ViewTable]:
    """Make or widen the tables of the views, after every declaration was checked.

    Raises
    ------
    ViewDefinitionError : a view does not compile
    SchemaError : a suite names a column that its view lacks
    TableError : a column changed its type in a way that needs a new name
    """
    compiled = compile_views([view.definition for view in views.values()]).views
    for name, view in compiled.items():
        check_suite(suites[name], [output.name for output in view.outputs])
    return [
        _prepare(run, view, compiled[name], suites[name], layouts.of("curated", name))
        for name, view in views.items()
    ]


def _prepare(run: Run, view: View, compiled: CompiledView, suite: Suite, layout: Layout) -> ViewTable:
    comments = {column.name: column.description for column in view.columns}
    columns = tuple(
        Column(each.name, each.spark_type.lower(), comments.get(each.name, "")) for each in compiled.outputs
    )
    spec = TableSpec(f"{CURATED}.{view.name}", columns, view.description, layout.partition_by)
    full_name = ensure_table(run.spark, run.catalog, spec)
    table = iceberg_table(run.spark, full_name)
    apply_layout(run.spark, table, layout)
    return ViewTable(
        view,
        full_name,
        tuple(column.name for column in columns),
        TableState() if run.arguments.full else read_state(table),
        view_fingerprint(view, suite),
        current_snapshot(table) is None,
        row_count(table.currentSnapshot()),
        has_refused(table),
    )


def type_updates(run: Run, tables: list[ViewTable], resources: Resources) -> list[TypeUpdate]:
    """The updates of views whose resources changed, or that are new or redefined; the largest first."""
    by_type: dict[str, list[ViewTable]] = {}
    for table in tables:
        by_type.setdefault(table.view.resource, []).append(table)
    changed = resources.changed_since(
        {
            kind: least(each.watermark for each in of)
            for kind, of in by_type.items()
            if any(_behind(each, resources) for each in of)
        }
    )
    updates: list[TypeUpdate] = []
    for kind, of in by_type.items():
        news = changed.get(kind, News())
        run.read(kind, news.count)
        # Where no resource of a type exists, a blank table is what its view gives: nothing to write or audit.
        stale = tuple(each for each in of if not each.is_current and (news.count or not each.is_blank))
        if stale:
            updates.append(TypeUpdate(resources, kind, stale, news, rebuild=True))
        behind = tuple(each for each in of if each.is_current and news.latest > each.watermark)
        if behind:
            after = least(each.watermark for each in behind)
            updates.append(TypeUpdate(resources, kind, behind, news, after))
    return sorted(updates, key=lambda each: each.size, reverse=True)


def _behind(table: ViewTable, resources: Resources) -> bool:
    consumed = table.state.inputs.get(RESOURCES)
    return not table.is_current or consumed is None or consumed.snapshot_id != resources.snapshot_id
