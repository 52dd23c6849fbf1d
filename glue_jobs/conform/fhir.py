"""Conforming FHIR: landed exports, and changes between them, into ``conformed.fhir_resource``.

One row per resource, the newest version.

A row competes by when it was true: ``last_updated``, or, for what does not say, the time its export was
submitted. So exports and changes in any order, repeated or split over runs, give the same table. All that a run
brings is one commit; the ledger is written after it, and what is read twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark import StorageLevel
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.export_manifests import Export, ExportFile, new_exports
from glue_jobs.conform.fhir_changes import (
    CHANGE,
    CHANGE_DELETE,
    Changes,
    changed_deletions,
    changed_resources,
    new_changes,
    type_of,
)
from glue_jobs.conform.fhir_deletes import (
    ABSENT,
    Reconciliation,
    absent_resources,
    forget_disproved_absences,
    plan_reconciliation,
    remember_full_exports,
)
from glue_jobs.conform.fhir_lines import BLANK, parse_deletions, parse_resources, read_lines, refused_lines
from glue_jobs.conform.fhir_listings import absence_source
from glue_jobs.lake.erased import blank_erased
from glue_jobs.lake.ledger import record
from glue_jobs.lake.merge import MergePolicy, merge_newest, newest_per_key
from glue_jobs.lake.quarantine import quarantine
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import Column, TableSpec, ensure_table, literal

ID_BUCKETS = 4
"""Files per resource type that a merge touches at most; more only pays where a type has many millions."""

SOURCES = "How this was learned: export, export_deleted, export_absent, change, change_delete, change_absent"

RESOURCE_TABLE = TableSpec(
    "watershed_conformed.fhir_resource",
    (
        Column("resource_type", "string", "FHIR resource type"),
        Column("id", "string", "Logical id"),
        Column("version_id", "string", "meta.versionId; null for a deletion whose version is not known"),
        Column("last_updated", "timestamp", "meta.lastUpdated (UTC); null where the source gives none"),
        Column("is_deleted", "boolean", "The resource is gone; its row stays"),
        Column("resource", "string", "The resource as JSON text, as it was received; null where deleted"),
        Column("source", "string", SOURCES),
        Column("export_id", "string", "Export or listing that brought it; null for a change between exports"),
        Column(
            "changed_at", "timestamp", "When that export was submitted; of a change, when it was made (UTC)"
        ),
        Column("run_id", "string", "Run that last wrote the row"),
    ),
    "Every FHIR resource in its newest version, deletions included.",
    partitioned_by=("resource_type", f"bucket({ID_BUCKETS}, id)"),
)
KEY = ("resource_type", "id")
TRUE_SINCE = "coalesce(last_updated, changed_at)"

# The same version in two exports is the earlier one's, so that the overlap of exports rewrites nothing.
_NEWEST = (
    TRUE_SINCE,
    "try_cast(version_id as decimal(38, 0))",
    "version_id",
    "is_deleted",
    "-unix_micros(changed_at)",
    "export_id",
)
POLICY = MergePolicy(KEY, _NEWEST)
_LINES = "text string, object_key string, export_id string, place bigint, block bigint, changed_at timestamp"

# Within one export nothing else may be left to tell two contents apart. Between exports something always
# is, so that a merge need not read the contents that the table holds.
_WITHIN_EXPORTS = replace(POLICY, newest=(*_NEWEST, "sha2(resource, 256)"))


def conform_fhir(run: Run) -> None:
    """Bring the exports and changes that landed since the last run into the table.

    Raises
    ------
    ManifestError : an export's manifest or file is damaged or gone; nothing was changed
    """
    table = ensure_table(run.spark, run.catalog, RESOURCE_TABLE)
    exports, manifests = new_exports(run)
    run.read("exports", len(exports))
    run.read("files", sum(len(export.files) + len(export.deleted) for export in exports))
    changes = new_changes(run)
    run.read("changes", len(changes.objects))
    if changes.objects or any(export.files or export.deleted or export.reconciles for export in exports):
        _conform(run, table, exports, changes)
    record(run, [*manifests, *changes.objects])


@dataclass(frozen=True)
class _Input:
    """What the new exports, or the changes, say: parsed lines of resources, and of deletions."""

    resources: DataFrame | None
    deletions: DataFrame | None


def _conform(run: Run, table: str, exports: Sequence[Export], changes: Changes) -> None:
    files = [file for export in exports if not export.listing for file in export.files]
    deleted = [file for export in exports for file in export.deleted]
    # On disk: the size of an export must not decide how much memory a run needs.
    parsed = blank_erased(run, parse_resources(_lines(run, exports, files)), BLANK, references=True)
    resources = parsed.persist(StorageLevel.DISK_ONLY)
    deletions = parse_deletions(_lines(run, exports, deleted)) if deleted else None
    if deletions is not None:
        deletions = blank_erased(run, deletions, BLANK, references=False)
    said = _Input(resources, deletions)
    changed = changed_resources(run, changes)
    if changed is not None:
        changed = changed.persist(StorageLevel.DISK_ONLY)
    between = _Input(changed, changed_deletions(run, changes))
    try:
        damaged = _quarantine(run, said, "fhir")
        _quarantine(run, between, "fhir_changes")
        plan = plan_reconciliation(run, exports, damaged, changes.types)
        forget_disproved_absences(run, table, _live(resources, "export"), plan)
        rows = _changes(run, table, said, between, plan)
        deleted_types = _deleted_types(deletions) | _deleted_types(between.deletions)
        types = sorted({file.type for file in files} | changes.types | plan.types | deleted_types)
        if types:
            within = f"t.resource_type in ({', '.join(map(literal, types))})"
            policy = replace(POLICY, within=within)
            result = merge_newest(run.spark, rows, table, policy, deduplicated=True)
            run.wrote(RESOURCE_TABLE.name, result.rows)
        remember_full_exports(run, exports, damaged)
    finally:
        resources.unpersist()
        if between.resources is not None:
            between.resources.unpersist()


def _lines(run: Run, exports: Sequence[Export], files: Sequence[ExportFile]) -> DataFrame:
    """Lines with ``changed_at``, the time that their export was submitted."""
    if not files:
        return run.spark.createDataFrame([], _LINES)
    # Microseconds, because datetimes go to Spark by way of this machine's time zone.
    submitted = [(export.id, round(export.submitted_at.timestamp() * 1_000_000)) for export in exports]
    times = run.spark.createDataFrame(submitted, "export_id string, _micros bigint").select(
        "export_id", F.timestamp_micros("_micros").alias("changed_at")
    )
    lines = read_lines(run.spark, run.arguments.landing_uri, files)
    return lines.join(F.broadcast(times), "export_id")


def _quarantine(run: Run, said: _Input, source: str) -> set[tuple[str, str]]:
    """Set unusable lines aside; the (export, resource type) of files that had any."""
    damaged: set[tuple[str, str]] = set()
    for parsed in (said.resources, said.deletions):
        if parsed is None:
            continue
        files = parsed.groupBy("object_key", "export_id").agg(
            F.expr("count_if(reason is null)").alias("good"),
            F.expr(f"count_if(reason != '{BLANK}')").alias("bad"),
        )
        counted = files.collect()
        run.read("lines", sum(row.good for row in counted))
        bad = [row for row in counted if row.bad]
        if bad:
            keys = [row.object_key for row in bad]
            quarantine(run, source, refused_lines(parsed.where(F.col("object_key").isin(keys))))
            damaged |= {(row.export_id, type_of(row.object_key)) for row in bad}
    return damaged


def _deleted_types(deletions: DataFrame | None) -> set[str]:
    if deletions is None:
        return set()
    rows = deletions.where("reason is null").select("resource_type").distinct().collect()
    return {row.resource_type for row in rows}


def _changes(run: Run, table: str, said: _Input, between: _Input, plan: Reconciliation) -> DataFrame:
    """One row per resource that the exports and changes say something of, in the table's columns."""
    assert said.resources is not None  # of no exports it is an empty frame
    exported = _live(said.resources, "export")
    live = exported if between.resources is None else exported.unionByName(_live(between.resources, CHANGE))
    every = live
    if said.deletions is not None:
        deletions = _really_deleted(said.deletions, exported)
        every = every.unionByName(_tombstones(deletions, F.lit("export_deleted")))
    if between.deletions is not None:
        deletions = between.deletions.where("reason is null")
        every = every.unionByName(_tombstones(deletions, F.lit(CHANGE_DELETE)))
    if plan.types:
        gone = absent_resources(run, table, live, plan)
        every = every.unionByName(_tombstones(gone, absence_source(ABSENT)))
    return newest_per_key(every, _WITHIN_EXPORTS).withColumn("run_id", F.lit(run.run_id))


def _live(resources: DataFrame, source: str) -> DataFrame:
    return resources.where("reason is null").select(
        "resource_type",
        "id",
        "version_id",
        "last_updated",
        F.lit(False).alias("is_deleted"),
        F.col("text").alias("resource"),
        F.lit(source).alias("source"),
        "export_id",
        "changed_at",
    )


def _really_deleted(deletions: DataFrame, live: DataFrame) -> DataFrame:
    """Without those that the same export also holds alive: they were made again after the deletion."""
    keys = live.select(*KEY, "export_id")
    return deletions.where("reason is null").join(keys, [*KEY, "export_id"], "left_anti")


def _tombstones(keys: DataFrame, source: SparkColumn) -> DataFrame:
    return keys.select(
        "resource_type",
        "id",
        F.lit(None).cast("string").alias("version_id"),
        F.lit(None).cast("timestamp").alias("last_updated"),
        F.lit(True).alias("is_deleted"),
        F.lit(None).cast("string").alias("resource"),
        source.alias("source"),
        "export_id",
        "changed_at",
    )
