"""Conforming items: new landing objects of each item type into its current and its history table.

Safe to kill and to repeat at any point: the ledger is written last, a change that is in the tables
already changes nothing, and the current table is written before the history, by whose ``_run_id`` readers
learn which keys changed, so that they never learn of a change that the current table does not show yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.item_changes import REFUSED, read_changes
from glue_jobs.conform.item_coverage import Exports, landed_exports
from glue_jobs.conform.item_tables import ItemTables, ensure_item_tables, table_specs, write_versions
from glue_jobs.conform.item_versions import NO_EXPORTS, stitch
from glue_jobs.lake.erased import without_erased_items
from glue_jobs.lake.ledger import News, news, object_key, record, uris
from glue_jobs.lake.listing import LandingObject
from glue_jobs.lake.log import log
from glue_jobs.lake.quarantine import COLUMNS as QUARANTINE_COLUMNS
from glue_jobs.lake.quarantine import quarantine, release
from glue_jobs.lake.rereads import Reread, pending_rereads
from glue_jobs.lake.run import Run
from glue_jobs.lake.session import interpreted
from glue_jobs.lake.tables import iceberg_table, quoted, row_count
from schemas import ItemType

_LINE_COLUMNS = ("_text", "_object_key", "_place", "_reason", "_detail", "_key_hash")
AT_ONCE = 3
"""Types conformed at a time: a small merge is mostly planning, one core's work on the driver."""

_PREFIX = "items/"
_LINE_BYTES = 40
"""What a compressed line takes at least."""
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
    marks, rereads = pending_rereads(run)
    exports = {name: landed_exports(run, name) for name in {each.table_name for each in item_types}}
    found = _news(run, rereads, exports)
    objects = _by_type(found.objects, item_types)
    with (
        interpreted(run.spark, _held(run, tables.values()), _landed(objects.values())),
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        work = {
            each.name: pool.submit(
                conform_type,
                run,
                each,
                tables[each.name],
                objects[each.name],
                rereads,
                exports[each.table_name],
            )
            for each in item_types
        }
    consumed: list[LandingObject] = []
    failure: Exception | None = None
    for name, done in work.items():
        try:
            consumed += done.result()
        except Exception as error:
            log("item type failed", run_id=run.run_id, item_type=name, error=type(error).__name__)
            failure = failure or error
    if not failure:
        # Marks and exports stand until every type has done what they ask for; nor is all looked at till then.
        consumed += [*marks, *(each for known in exports.values() for each in known.news)]
        consumed += [found.swept] if found.swept else []
    record(run, consumed)
    if failure:
        raise failure


def _news(run: Run, rereads: Sequence[Reread], exports: Mapping[str, Exports]) -> News:
    """What landed of all types since the last run: one listing, and one query of the ledger.

    An export brings what it holds into folders of days long gone, as a reread may.
    """

    def again(each: LandingObject) -> bool:
        return any(reread.wants(each) for reread in rereads)

    late = rereads or any(each.news for each in exports.values())
    return news(run, _PREFIX, again=again if late else None)


def _by_type(
    objects: Iterable[LandingObject], item_types: Iterable[ItemType]
) -> dict[str, list[LandingObject]]:
    folders = {
        each.name: f"{_PREFIX}table_name={each.table_name}/item_type={each.name}/" for each in item_types
    }
    return {
        name: [each for each in objects if each.key.startswith(folder)] for name, folder in folders.items()
    }


def _held(run: Run, tables: Iterable[ItemTables]) -> int:
    """How many rows the tables show."""
    names = [name for each in tables for name in (each.current, each.history)]
    return sum(row_count(iceberg_table(run.spark, name).currentSnapshot()) for name in names)


def _landed(objects: Iterable[Sequence[LandingObject]]) -> int:
    """How many changes landed, at most."""
    return sum(each.size for landed in objects for each in landed) // _LINE_BYTES


def conform_type(
    run: Run,
    item_type: ItemType,
    tables: ItemTables,
    objects: list[LandingObject],
    rereads: Sequence[Reread] = (),
    exports: Exports = NO_EXPORTS,
) -> list[LandingObject]:
    """Bring objects that landed of one item type into its tables; those it consumed, for the ledger."""
    run.read(f"{item_type.sql_name}_objects", len(objects))
    if not objects and not exports.news:
        return []
    changes = read_changes(_lines(run, objects), item_type).persist()
    try:
        total, refused = _counts(changes)
        run.read(f"{item_type.sql_name}_changes", total)
        if rereads or run.arguments.full:
            with _quarantining:
                run.read("quarantine_retried", release(run, "items", {each.key for each in objects}))
        if refused:
            with _quarantining:
                lines = _refused_lines(changes)
                quarantine(run, "items", without_erased_items(run, item_type, lines, hash_column="key_hash"))
        if total > refused or exports.known:
            kept = without_erased_items(run, item_type, changes)
            _merge(run, tables, _usable(kept, item_type), exports)
    finally:
        changes.unpersist()
    return objects


def _usable(changes: DataFrame, item_type: ItemType) -> DataFrame:
    """The good changes; and of exported items that are refused, that they were there."""
    good = changes.where("_reason is null").drop(*_LINE_COLUMNS)
    keys = {each.column for each in item_type.keys}
    known = {*keys, "_event_id", "_changed_at", "_expired", "_sequence_number"}
    refused = changes.where("_reason is not null and startswith(_event_id, 'export/')")
    seen = refused.where(" and ".join(f"{quoted(name)} is not null" for name in keys)).select(
        *(
            (
                F.lit(REFUSED)
                if each.name == "_event_name"
                else F.col(quoted(each.name))
                if each.name in known
                else F.lit(None).cast(each.dataType)
            ).alias(each.name)
            for each in good.schema.fields
        )
    )
    return good.unionByName(seen)


def _lines(run: Run, objects: Sequence[LandingObject]) -> DataFrame:
    if not objects:
        return run.spark.createDataFrame([], "_text string, _object_key string, _place bigint")
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


def _merge(run: Run, tables: ItemTables, changes: DataFrame, exports: Exports) -> None:
    history = run.spark.table(tables.history)
    versions = stitch(
        changes, history, tables.keys, run.run_id, replace=run.arguments.full, exports=exports
    ).persist()
    try:
        written = write_versions(run.spark, versions, tables)
    finally:
        versions.unpersist()
    run.wrote(tables.current.partition(".")[2], written.current)
    run.wrote(tables.history.partition(".")[2], written.history)
