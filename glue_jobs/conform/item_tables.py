"""The tables of an item type, and writing versions to them: one commit to each, none where nothing is new.

``stitch`` has compared the versions with the history already, so the rows are merged as they are, without
being held against the tables a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from glue_jobs.conform.item_changes import REMOVED
from glue_jobs.conform.item_values import column_type
from glue_jobs.conform.item_versions import CHANGE_COLUMNS, VERSION_COLUMNS
from glue_jobs.lake.errors import LakeError, Terminal
from glue_jobs.lake.keys import in_slots, slots_taken, taken_flags
from glue_jobs.lake.merge import merge_into
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    current_snapshot,
    ensure_table,
    iceberg_table,
    quoted,
)
from schemas import ItemType

_REMOVES = f"_event_name = '{REMOVED}'"
_AMBIGUOUS_KEY_TYPES = ("double", "timestamp")


class KeyTypeError(LakeError, Terminal):
    """Raised when two different DynamoDB keys could become one key of a table."""


@dataclass(frozen=True)
class ItemTables:
    """Full names of an item type's tables, and its key columns."""

    current: str
    history: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """Rows that a run inserted, updated or removed in each table."""

    current: int
    history: int


def table_specs(item_type: ItemType) -> tuple[TableSpec, TableSpec]:
    """The current and the history table of an item type.

    Raises
    ------
    KeyTypeError : a key is declared as a type whose values do not tell keys apart
    """
    for key in item_type.keys:
        if key.type in _AMBIGUOUS_KEY_TYPES:
            raise KeyTypeError(
                f"Key {key.name!r} of {item_type.name} is declared {key.type}, which two keys can share",
                "Declare it as string, long, decimal, date or timestamp_millis",
            )
    declared = tuple(Column(each.column, column_type(each), each.description) for each in item_type.columns)
    name = f"watershed_conformed.{item_type.sql_name}"
    current = TableSpec(name, (*declared, *CHANGE_COLUMNS), f"{item_type.description} Current state.")
    history = TableSpec(
        f"{name}_history",
        (*declared, *CHANGE_COLUMNS, *VERSION_COLUMNS),
        f"{item_type.description} Every version, removals included.",
    )
    return current, history


def ensure_item_tables(spark: SparkSession, catalog: str, item_type: ItemType) -> ItemTables:
    """Make or widen the tables of an item type.

    Raises
    ------
    TableError, KeyTypeError : a declaration asks for what a table cannot become
    """
    current, history = table_specs(item_type)
    return ItemTables(
        current=ensure_table(spark, catalog, current),
        history=ensure_table(spark, catalog, history),
        keys=tuple(each.column for each in item_type.keys),
    )


def write_versions(spark: SparkSession, versions: DataFrame, tables: ItemTables) -> Written:
    """Write what is news in ``versions`` (the result of ``stitch``, cached) to both tables.

    The current table first: readers learn by the history which keys changed, and must find them changed.
    A job killed between the two does the same again, to the same end, because the history does not know
    the changes yet.
    """
    row = versions.selectExpr(
        f"count_if(_news and _last and not {_REMOVES})",
        "count_if(_news and _last)",
        "count_if(_news)",
        f"{slots_taken(tables.keys)} filter (where _news)",
    ).first()
    assert row is not None  # an aggregate without grouping has one row
    kept, last, news, taken = row
    flags = taken_flags(taken)
    if last:
        _write(spark, versions.where("_news and _last"), tables.current, tables.keys, flags, adds=kept > 0)
    if news:
        _write(
            spark,
            versions.where("_news"),
            tables.history,
            tables.keys,
            flags,
            # Rows of exports have no number, and the event's id instead.
            change="coalesce({0}._sequence_number, {0}._event_id)",
            removes="_retracted",
        )
    return Written(last, news)


def _write(
    spark: SparkSession,
    rows: DataFrame,
    table: str,
    key: Sequence[str],
    taken: bytearray,
    *,
    change: str = "",
    removes: str = _REMOVES,
    adds: bool = True,
) -> None:
    """Upsert rows by key and ``change``; rows for which ``removes`` holds remove theirs.

    ``taken`` flags the slots that the keys of the rows fall into.
    """
    if current_snapshot(iceberg_table(spark, table)) is None:
        if adds:
            names = [quoted(name) for name in spark.table(table).columns]
            rows.where(f"not {removes}").select(*names).writeTo(table).append()
        return
    on = [f"t.{quoted(name)} = s.{quoted(name)}" for name in key]
    if change:
        on.append(f"{change.format('t')} = {change.format('s')}")
    merge_into(spark, rows, table, [*on, in_slots(key)], removes, taken)
