"""Conforming FHIR: landed exports, and changes between them, into ``conformed.fhir_resource``.

One row per resource, the newest version.

A row competes by when it was true: ``last_updated``, or, for what does not say, the time its export was
submitted. So exports and changes in any order, repeated or split over runs, give the same table. All that a run
brings is one commit; the ledger is written after it, and what is read twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.export_manifests import Export, ExportFile, new_exports
from glue_jobs.conform.fhir_changes import (
    CHANGE_DELETE,
    Changes,
    changed_deletions,
    changed_resources,
    new_changes,
    type_of,
)
from glue_jobs.conform.fhir_deletes import (
    Reconciliation,
    judge_late,
    listed_resources,
    plan_reconciliation,
    remember_full_exports,
)
from glue_jobs.conform.fhir_lines import (
    BLANK,
    LineFile,
    parse_deletions,
    parse_resources,
    read_lines,
    refused_lines,
)
from glue_jobs.conform.fhir_winners import FEW, KEY, PLACE, tally, winners, with_texts, with_tombstones
from glue_jobs.lake.erased import blank_erased
from glue_jobs.lake.keys import taken_flags
from glue_jobs.lake.ledger import record
from glue_jobs.lake.merge import MergePolicy, write_changes
from glue_jobs.lake.quarantine import quarantine
from glue_jobs.lake.run import Run
from glue_jobs.lake.session import in_few_tasks, with_settings
from glue_jobs.lake.tables import Column, TableSpec, ensure_table, iceberg_table, literal, row_count

ID_BUCKETS = 2
"""Files that a commit adds per resource type at most; more only pays where a type has many millions."""

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
EXPORT = "export"
_CLAIMS = (
    "resource_type string, id string, version_id string, last_updated timestamp, is_deleted boolean,"
    " source string, export_id string, changed_at timestamp, object_key string, place bigint, content bigint"
)


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
    record(run, [*manifests, *changes.consumed])


def _conform(run: Run, table: str, exports: Sequence[Export], changes: Changes) -> None:
    files = [(export, file) for export in exports if not export.listing for file in export.files]
    deleted = [(export, file) for export in exports for file in export.deleted]
    resources = _resources(run, files, changes)
    if resources is not None:
        # On disk: the size of an export must not decide how much memory a run needs.
        resources = _keep(resources, StorageLevel.DISK_ONLY)
    exported = _exported_deletions(run, deleted)
    told = changed_deletions(run, changes)
    try:
        counts = _quarantine(run, resources, (exported, told))
        held = row_count(iceberg_table(run.spark, table).currentSnapshot())
        with in_few_tasks(run.spark, held, counts.resources + counts.deletions):
            plan = plan_reconciliation(run, exports, counts.damaged, changes.types)
            types = {file.type for _, file in files} | changes.types | plan.types
            types |= _deleted_types(exported) | _deleted_types(told)
            if types:
                claims = _claims(resources, exported, told)
                run.wrote(RESOURCE_TABLE.name, _write(run, table, resources, claims, counts, plan, types))
            remember_full_exports(run, exports, counts.damaged)
    finally:
        if resources is not None:
            resources.unpersist()


def _write(
    run: Run,
    table: str,
    lines: DataFrame | None,
    claims: DataFrame | None,
    counts: _Counts,
    plan: Reconciliation,
    types: set[str],
) -> int:
    """Bring what wins into the table; how many rows that are."""
    held = run.spark.table(table).where(F.col("resource_type").isin(sorted(types)))
    if claims is None:
        claims = run.spark.createDataFrame([], _CLAIMS)
    few = counts.resources + counts.deletions <= FEW and not plan.new
    if few:
        # Nothing else in the table can change, so nothing else need be brought together with them.
        held = held.join(F.broadcast(claims.select(*KEY)), list(KEY), "left_semi")
    won = _keep(winners(held, claims, listed_resources(run, plan), plan), StorageLevel.MEMORY_AND_DISK)
    try:
        tallies = tally(won, with_slots=few)
        late = {each.resource_type for each in tallies if each.late}
        if late:
            unjudged, won = won, with_tombstones(judge_late(run, won, plan, late))
            won = _keep(won, StorageLevel.MEMORY_AND_DISK)
            tallies = tally(won, with_slots=few)
            unjudged.unpersist()
        count = sum(each.rows for each in tallies)
        if count:
            replaces = any(each.replacing for each in tallies)
            within = f"t.resource_type in ({', '.join(map(literal, sorted(types)))})"
            taken = taken_flags(chain.from_iterable(each.slots for each in tallies)) if few else None
            rows = with_texts(won, tallies, lines, counts.resources).withColumn("run_id", F.lit(run.run_id))
            rows = rows.select(*(column.name for column in RESOURCE_TABLE.columns))
            policy = MergePolicy(KEY, (), within=within)
            write_changes(run.spark, rows, table, policy, replaces=replaces, taken=taken)
        return count
    finally:
        won.unpersist()


def _keep(rows: DataFrame, level: StorageLevel) -> DataFrame:
    """Rows to be read several times, as they are.

    To see whether a column is worth a dictionary, Spark would hash every text, which takes as long as to parse it.
    """
    with with_settings(rows.sparkSession, {"spark.sql.inMemoryColumnarStorage.compressed": "false"}):
        return rows.persist(level)


def _resources(run: Run, files: Sequence[tuple[Export, ExportFile]], changes: Changes) -> DataFrame | None:
    """Parsed lines of the exports and of the changes between them; None where there are no files."""
    found = [changed_resources(run, changes)]
    if files:
        parsed = parse_resources(_lines(run, files)).withColumn("source", F.lit(EXPORT))
        found.append(blank_erased(run, parsed, BLANK, references=True))
    return _union(found)


def _exported_deletions(run: Run, files: Sequence[tuple[Export, ExportFile]]) -> DataFrame | None:
    if not files:
        return None
    return blank_erased(run, parse_deletions(_lines(run, files)), BLANK, references=False)


def _union(frames: Sequence[DataFrame | None]) -> DataFrame | None:
    found = [each for each in frames if each is not None]
    return reduce(DataFrame.unionByName, found) if found else None


def _lines(run: Run, files: Sequence[tuple[Export, ExportFile]]) -> DataFrame:
    """Lines of exports; what does not say when it was true counts as of its export's submission."""
    named = [LineFile(file.key, file.type, export.id, export.submitted_at) for export, file in files]
    return read_lines(run.spark, run.arguments.landing_uri, named)


@dataclass
class _Counts:
    """Lines that are resources, and deletions; the (export, resource type) of files that had unusable ones."""

    resources: int = 0
    deletions: int = 0
    damaged: set[tuple[str, str]] = field(default_factory=set)


def _quarantine(run: Run, resources: DataFrame | None, deletions: Sequence[DataFrame | None]) -> _Counts:
    """Set unusable lines aside, and count the others."""
    counts = _Counts()
    if resources is not None:
        counts.resources = _set_aside(run, resources, counts.damaged)
    counts.deletions = sum(_set_aside(run, each, counts.damaged) for each in deletions if each is not None)
    run.read("lines", counts.resources + counts.deletions)
    return counts


def _set_aside(run: Run, parsed: DataFrame, damaged: set[tuple[str, str]]) -> int:
    files = parsed.groupBy("object_key", "export_id").agg(
        F.expr("count_if(reason is null)").alias("good"),
        F.expr(f"count_if(reason != '{BLANK}')").alias("bad"),
    )
    counted = files.collect()
    bad = [row for row in counted if row.bad]
    damaged |= {(row.export_id, type_of(row.object_key)) for row in bad}
    for source in ("fhir", "fhir_changes"):
        keys = [row.object_key for row in bad if row.object_key.startswith(f"{source}/")]
        if keys:
            quarantine(run, source, refused_lines(parsed.where(F.col("object_key").isin(keys))))
    return sum(row.good for row in counted)


def _deleted_types(deletions: DataFrame | None) -> set[str]:
    if deletions is None:
        return set()
    rows = deletions.where("reason is null").select("resource_type").distinct().collect()
    return {row.resource_type for row in rows}


def _claims(
    resources: DataFrame | None, exported: DataFrame | None, told: DataFrame | None
) -> DataFrame | None:
    """What the exports and changes say of resources, as ``winners`` takes it; None where they say nothing."""
    if exported is not None and resources is not None:
        exported = _really_deleted(exported, resources)
    return _union(
        (
            None if resources is None else _live(resources),
            None if exported is None else _tombstones(exported, "export_deleted"),
            None if told is None else _tombstones(told, CHANGE_DELETE),
        )
    )


def _live(resources: DataFrame) -> DataFrame:
    return resources.where("reason is null").select(
        *KEY,
        "version_id",
        "last_updated",
        F.lit(False).alias("is_deleted"),
        "source",
        "export_id",
        "changed_at",
        *PLACE,
        # Where nothing else tells two contents of one version apart.
        F.xxhash64("text").alias("content"),
    )


def _really_deleted(deletions: DataFrame, resources: DataFrame) -> DataFrame:
    """Without those that the same export also holds alive: they were made again after the deletion."""
    keys = resources.where("reason is null").select(*KEY, "export_id")
    return deletions.where("reason is null").join(keys, [*KEY, "export_id"], "left_anti")


def _tombstones(deletions: DataFrame, source: str) -> DataFrame:
    return deletions.where("reason is null").select(
        *KEY,
        F.lit(None).cast("string").alias("version_id"),
        F.lit(None).cast("timestamp").alias("last_updated"),
        F.lit(True).alias("is_deleted"),
        F.lit(source).alias("source"),
        "export_id",
        "changed_at",
        F.lit(None).cast("string").alias("object_key"),
        F.lit(None).cast("bigint").alias("place"),
        F.lit(None).cast("bigint").alias("content"),
    )
