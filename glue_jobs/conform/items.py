"""Conforming items: new landing objects of each item type into its current and its history table.

Safe to kill and to repeat at any point: the ledger is written last, a change that is in the tables
already changes nothing, and the current table is written before the history, by whose ``_run_id`` readers
learn which keys changed, so that they never learn of a change that the current table does not show yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.item_changes import read_changes
from glue_jobs.conform.item_tables import ItemTables, ensure_item_tables, table_specs, write_versions
from glue_jobs.conform.item_versions import stitch
from glue_jobs.lake.erased import without_erased_items
from glue_jobs.lake.ledger import LandingObject, new_objects, object_key, record, uris
from glue_jobs.lake.log import log
from glue_jobs.lake.quarantine import COLUMNS as QUARANTINE_COLUMNS
from glue_jobs.lake.quarantine import quarantine
from glue_jobs.lake.run import Run
from schemas import ItemType

_LINE_COLUMNS = ("_text", "_object_key", "_place", "_reason", "_detail", "_key_hash")
AT_ONCE = 3
"""Types conformed at a time: a small merge is mostly planning, one core's work on the driver."""

_quarantining = Lock()  # all types share its tables and counts


def conform_items(run: Run, item_types: Iterable[ItemType]) -> None:
    """Bring what landed since the last run into the tables of every item type.

    All tables get their declared shape before any data is touched. A type that fails does not hold up the
    others: they are finished and recorded, then its error is raised.

    Raises
    ------
    TableError, KeyTypeError : a declaration asks for what a table cannot become; no row was touched
    """
    item_types = tuple(item_types)
    for item_type in item_types:
        table_specs(item_type)
    tables = {each.name: ensure_item_tables(run.spark, run.catalog, each) for each in item_types}
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        work = {each.name: pool.submit(conform_type, run, each, tables[each.name]) for each in item_types}
    consumed: list[LandingObject] = []
    failure: Exception | None = None
    for name, done in work.items():
        try:
            consumed += done.result()
        except Exception as error:
            log("item type failed", run_id=run.run_id, item_type=name, error=type(error).__name__)
            failure = failure or error
    record(run, consumed)
    if failure:
        raise failure


def conform_type(run: Run, item_type: ItemType, tables: ItemTables) -> list[LandingObject]:
    """Bring what landed of one item type into its tables; the objects it consumed, for the ledger."""
    prefix = f"items/table_name={item_type.table_name}/item_type={item_type.name}/"
    objects = new_objects(run, prefix)
    run.read(f"{item_type.sql_name}_objects", len(objects))
    if not objects:
        return []
    changes = read_changes(_lines(run, objects), item_type).persist()
    try:
        total, refused = _counts(changes)
        run.read(f"{item_type.sql_name}_changes", total)
        if refused:
            with _quarantining:
                refused_lines = _refused_lines(changes)
                quarantine(
                    run, "items", without_erased_items(run, item_type, refused_lines, hash_column="key_hash")
                )
        if total > refused:
            good = without_erased_items(run, item_type, changes.where("_reason is null"))
            _merge(run, tables, good.drop(*_LINE_COLUMNS))
    finally:
        changes.unpersist()
    return objects


def _lines(run: Run, objects: list[LandingObject]) -> DataFrame:
    landing_uri = run.arguments.landing_uri
    lines = run.spark.read.text(uris(objects, landing_uri))
    return lines.select(
        F.col("value").alias("_text"),
        object_key(landing_uri).alias("_object_key"),
        F.monotonically_increasing_id().alias("_place"),
    )


def _counts(changes: DataFrame) -> tuple[int, int]:
    row = changes.agg(F.count(F.lit(1)), F.count("_reason")).first()
    assert row is not None  # an aggregate without grouping has one row
    return int(row[0]), int(row[1])


def _refused_lines(changes: DataFrame) -> DataFrame:
    """The lines with a reason, and their numbers: a gzip object is read by one task, in order."""
    first = changes.groupBy("_object_key").agg(F.min("_place").alias("_first"))
    refused = changes.where("_reason is not null").join(first, "_object_key")
    numbered = refused.withColumn("_line", F.col("_place") - F.col("_first") + 1)
    return numbered.select(*(F.col(f"_{name}").alias(name) for name in QUARANTINE_COLUMNS))


def _merge(run: Run, tables: ItemTables, changes: DataFrame) -> None:
    history = run.spark.table(tables.history)
    versions = stitch(changes, history, tables.keys, run.run_id, replace=run.arguments.full).persist()
    try:
        written = write_versions(run.spark, versions, tables)
    finally:
        versions.unpersist()
    run.wrote(tables.current.partition(".")[2], written.current)
    run.wrote(tables.history.partition(".")[2], written.history)
