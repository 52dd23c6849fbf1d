"""What a model reads, each input at the snapshot it is read at, and what changed in it since a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from pyspark.sql import DataFrame, SparkSession

from glue_jobs.curation.declarations import DATABASES, Declarations
from glue_jobs.curation.resources import RESOURCES, Resources
from glue_jobs.curation.state import Consumed, TableState, read_state
from glue_jobs.lake.errors import LakeError, Terminal
from glue_jobs.lake.tables import current_snapshot, iceberg_table, literal, quoted, read_at, table_exists
from schemas.model import Dependency, Model
from schemas.view import View


class MissingInput(LakeError, Terminal):
    """Raised when a model reads a table that does not exist."""


@dataclass(frozen=True)
class Input:
    """One table a model reads.

    ``mark`` is how far this run reads it: its snapshot, and for items the greatest run id of the history.
    ``state`` is what a curated table was made from; it is empty for items.
    """

    dependency: Dependency
    full_name: str
    mark: Consumed
    rows: DataFrame
    state: TableState = field(default_factory=TableState)

    @property
    def name(self) -> str:
        return f"{self.dependency.zone}.{self.dependency.table}"


def read_input(spark: SparkSession, catalog: str, model: Model, dependency: Dependency) -> Input:
    """The input at its current snapshot.

    Raises
    ------
    MissingInput : there is no such table
    """
    full_name = f"{catalog}.{DATABASES[dependency.zone]}.{dependency.table}"
    if not table_exists(spark, full_name):
        raise MissingInput(
            f"{model.file.name}: {dependency.alias} is {full_name}, which does not exist",
            "Run the job that makes it first, or correct depends_on",
        )
    if dependency.zone == "curated":
        table = iceberg_table(spark, full_name)
        snapshot_id = current_snapshot(table)
        rows = read_at(spark, full_name, snapshot_id)
        return Input(dependency, full_name, Consumed(snapshot_id), rows, read_state(table))
    return _read_items(spark, dependency, full_name)


def _read_items(spark: SparkSession, dependency: Dependency, full_name: str) -> Input:
    """Items are read as they are now; their history tells what changed, and is pinned first.

    A change that comes between the two is then in the rows already and is found again by the next run.
    """
    history = _history_name(full_name)
    if not table_exists(spark, history):
        raise MissingInput(f"{history} does not exist", "Run conform_items first")
    snapshot_id = current_snapshot(iceberg_table(spark, history))
    latest = "" if snapshot_id is None else _latest_run_id(spark, history, snapshot_id)
    current = current_snapshot(iceberg_table(spark, full_name))
    return Input(dependency, full_name, Consumed(snapshot_id, latest), read_at(spark, full_name, current))


@cache
def _latest_run_id(spark: SparkSession, history: str, snapshot_id: int) -> str:
    """The greatest run id in a history at a snapshot, which never changes: models ask for it many times."""
    row = read_at(spark, history, snapshot_id).selectExpr("coalesce(max(_run_id), '')").first()
    return str(row[0]) if row else ""


def _history_name(full_name: str) -> str:
    return f"{full_name}_history"


@dataclass(frozen=True)
class Changes:
    """What changed in an input. ``rows`` holds the rows as they were and as they are.

    ``everything`` says that this cannot be told apart, so that whoever reads the input starts anew.
    """

    rows: DataFrame | None = None
    everything: bool = False


def changes_since(
    spark: SparkSession,
    read: Input,
    seen: Consumed | None,
    resources: Resources,
    declarations: Declarations,
) -> Changes:
    """The rows that changed in an input since a model read it.

    Parameters
    ----------
    seen : how far the model read it; None if it never did
    declarations : tell a view from a model
    """
    if seen is None:
        return Changes(everything=True)
    if seen.snapshot_id == read.mark.snapshot_id:
        return Changes()
    if read.dependency.zone == "conformed":
        return Changes(_changed_items(spark, read, seen))
    return _changed_curated(spark, read, seen, resources, declarations.views.get(read.dependency.table))


def _changed_items(spark: SparkSession, read: Input, seen: Consumed) -> DataFrame:
    """The versions that a run has written since: the new ones, and those whose validity they ended, which
    are the rows as they were."""
    history = read_at(spark, _history_name(read.full_name), read.mark.snapshot_id)
    written = history.where(f"_run_id > {literal(seen.run_id)}")
    return written.select(*map(quoted, read.rows.columns))


def _changed_curated(
    spark: SparkSession, read: Input, seen: Consumed, resources: Resources, view: View | None
) -> Changes:
    """Rows of a curated table at two snapshots that differ: by resource for views, else by comparison."""
    table = iceberg_table(spark, read.full_name)
    if seen.snapshot_id is None:
        return Changes(read.rows)  # it was blank
    if table.snapshot(seen.snapshot_id) is None:
        return Changes(everything=True)  # the snapshot has expired
    before = read_at(spark, read.full_name, seen.snapshot_id)
    before_state = read_state(table, seen.snapshot_id)
    if before_state.definition != read.state.definition:
        return Changes(everything=True)
    if view is None:
        return Changes(_difference(before, read.rows))
    consumed = before_state.inputs.get(RESOURCES, Consumed())
    keys = resources.keys(view.resource, consumed.run_id)
    both = before.unionByName(read.rows, allowMissingColumns=True)
    return Changes(keys.choose(both))


def _difference(before: DataFrame, after: DataFrame) -> DataFrame:
    """Rows that one of the frames has and the other has not."""
    before = before.select(*map(quoted, (each for each in after.columns if each in before.columns)))
    after = after.select(*map(quoted, before.columns))
    return before.exceptAll(after).union(after.exceptAll(before))


def needed_snapshots(spark: SparkSession, curated: Iterable[str]) -> dict[str, set[int]]:
    """By full name, the snapshots that some curated table was made from: models compare with them."""
    needed: dict[str, set[int]] = {}
    for table in curated:
        catalog = table.partition(".")[0]
        for name, consumed in read_state(iceberg_table(spark, table)).inputs.items():
            if consumed.snapshot_id is not None:
                zone, _, source = name.partition(".")
                needed.setdefault(f"{catalog}.{DATABASES[zone]}.{source}", set()).add(consumed.snapshot_id)
    return needed
