"""Resources that are gone, learned from full exports: what one lacks, though it is older, was deleted.

An export is not a snapshot: what is written while it runs may be in it or not. So a resource that is
absent counts as deleted only if it was last updated before the export was submitted; and only if every
line of the export's files of that type could be read. The list of a type's identities that a deletion
between exports leads to is judged by in the same way; of several, the latest decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.export_manifests import Export, ExportFile, ManifestError, check_files
from glue_jobs.conform.fhir_lines import parse_resources, read_lines
from glue_jobs.conform.fhir_listings import CHANGE_ABSENT, forget_superseded_listings, is_listing
from glue_jobs.lake.log import log
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import Column, TableSpec, append_rows, ensure_table, table_exists

ABSENT = "export_absent"
ABSENCES = (ABSENT, CHANGE_ABSENT)
"""Sources of tombstones that rest on a resource's not being there."""
FULL_EXPORT_TABLE = TableSpec(
    "watershed_ops.fhir_full_export",
    (
        Column("export_id", "string", "A complete full export"),
        Column("submitted_at", "timestamp", "When it was submitted (UTC)"),
        Column("types", "string", "JSON list of the types it was restricted to; empty: all"),
        Column("unreadable", "string", "JSON list of types of which a line could not be read"),
        Column("files", "string", "JSON list of its files: [key, type, bytes]"),
        Column("run_id", "string", "Run that consumed it"),
    ),
    "Full exports, by which later runs judge resources that arrive late.",
)


@dataclass(frozen=True)
class FullExport:
    """A full export and the types that it decides. ``new``: this run is the first to see it."""

    export: Export
    unreadable: frozenset[str]
    new: bool

    def decides(self, resource_type: str) -> bool:
        """Does it tell which resources of this type exist?"""
        return self.export.covers(resource_type) and resource_type not in self.unreadable


@dataclass(frozen=True)
class Reconciliation:
    """For each resource type the latest full export that decides it."""

    by_type: dict[str, FullExport]

    @property
    def types(self) -> set[str]:
        """The types that can be decided."""
        return set(self.by_type)


def plan_reconciliation(
    run: Run, exports: Sequence[Export], damaged: set[tuple[str, str]], changed: Iterable[str] = ()
) -> Reconciliation:
    """Which full export decides which type; ``changed`` are the types that come from elsewhere.

    A type that no export of this run holds matters only where a new full export covers it.
    """
    known = _known_full_exports(run)
    new = [
        FullExport(export, frozenset(name for id_, name in damaged if id_ == export.id), new=True)
        for export in exports
        if export.reconciles
    ]
    if not known and not new:
        return Reconciliation({})
    types = {file.type for export in exports for file in export.files} | set(changed)
    if new:
        table = f"{run.catalog}.watershed_conformed.fhir_resource"
        types |= {row[0] for row in run.spark.table(table).select("resource_type").distinct().collect()}
    by_type: dict[str, FullExport] = {}
    for name in types:
        deciding = [full for full in (*known, *new) if full.decides(name)]
        if deciding:
            by_type[name] = max(deciding, key=lambda full: (full.export.submitted_at, full.export.id))
    return Reconciliation(by_type)


def absent_resources(run: Run, table: str, live: DataFrame, plan: Reconciliation) -> DataFrame:
    """Keys of resources that their type's full export should hold and does not.

    Columns ``resource_type, id, export_id, changed_at``. Looked at are the resources that this run brings,
    for they may come late, and, of a full export that is new, those that the table holds.
    """
    rows = [
        (name, full.export.id, round(full.export.submitted_at.timestamp() * 1_000_000), full.new)
        for name, full in sorted(plan.by_type.items())
    ]
    deciding = F.broadcast(
        run.spark.createDataFrame(
            rows, "resource_type string, _full string, _micros bigint, _new boolean"
        ).withColumn("_submitted", F.timestamp_micros("_micros"))
    )
    brought = live.select("resource_type", "id", "last_updated", "changed_at").join(deciding, "resource_type")
    held = (
        run.spark.table(table)
        .where("not is_deleted")
        .select("resource_type", "id", "last_updated", "changed_at")
        .join(deciding.where("_new"), "resource_type")
    )
    older = brought.unionByName(held).where("coalesce(last_updated, changed_at) < _submitted")
    present = _present(run, live, older, plan)
    return (
        older.join(present, ["resource_type", "id", "_full"], "left_anti")
        .select(
            "resource_type", "id", F.col("_full").alias("export_id"), F.col("_submitted").alias("changed_at")
        )
        .distinct()
    )


def forget_disproved_absences(run: Run, table: str, live: DataFrame, plan: Reconciliation) -> None:
    """Remove tombstones for absence that are older than a new full export which holds the resource.

    A tombstone counts from when its export or listing was made, a resource from its last version: so what a
    lagging index left out of a listing would stay deleted until it is written again.
    """
    rows = [
        (name, full.export.id, round(full.export.submitted_at.timestamp() * 1_000_000))
        for name, full in sorted(plan.by_type.items())
        if full.new and not full.export.listing
    ]
    if not rows:
        return
    deciding = run.spark.createDataFrame(rows, "resource_type string, export_id string, _micros bigint")
    held = live.join(F.broadcast(deciding), ["resource_type", "export_id"])
    absent = run.spark.table(table).where(F.col("is_deleted") & F.col("source").isin(*ABSENCES))
    wrong = (
        absent.select("resource_type", "id", F.unix_micros("changed_at").alias("_since"))
        .join(held.select("resource_type", "id", "_micros"), ["resource_type", "id"])
        .where("_since < _micros")
        .select("resource_type", "id")
        .distinct()
        .persist()
    )
    try:
        count = wrong.count()
        if count:
            log("absences disproved", run_id=run.run_id, rows=count)
            wrong.createOrReplaceTempView("_watershed_disproved")
            run.spark.sql(
                f"merge into {table} t using _watershed_disproved s"
                " on t.resource_type = s.resource_type and t.id = s.id when matched then delete"
            )
    finally:
        wrong.unpersist()


def remember_full_exports(run: Run, exports: Sequence[Export], damaged: set[tuple[str, str]]) -> None:
    """Write down the new full exports, after the data is committed."""
    known = {full.export.id for full in _known_full_exports(run)}
    rows = [
        (
            export.id,
            export.submitted_at.astimezone(UTC),
            json.dumps(export.types),
            json.dumps(sorted(name for id_, name in damaged if id_ == export.id)),
            json.dumps([(file.key, file.type, file.size) for file in export.files]),
            run.run_id,
        )
        for export in exports
        if export.reconciles and export.id not in known
    ]
    if rows:
        append_rows(run.spark, ensure_table(run.spark, run.catalog, FULL_EXPORT_TABLE), rows)
        forget_superseded_listings(run, exports)


def _present(run: Run, live: DataFrame, older: DataFrame, plan: Reconciliation) -> DataFrame:
    """``resource_type, id, _full`` of what the deciding exports hold."""
    present = live.select("resource_type", "id", F.col("export_id").alias("_full"))
    earlier = {full.export.id: full for full in plan.by_type.values() if not full.new or full.export.listing}
    for full in earlier.values():
        names = {name for name, deciding in plan.by_type.items() if deciding is full}
        late = older.where(F.col("_full") == full.export.id).select("resource_type").distinct().collect()
        wanted = names & {row.resource_type for row in late}
        files = [file for file in full.export.files if file.type in wanted]
        if not files:
            continue
        _check(run, full.export, files)
        lines = read_lines(run.spark, run.arguments.landing_uri, files)
        keys = parse_resources(lines).where("reason is null")
        present = present.unionByName(
            keys.select("resource_type", "id", F.lit(full.export.id).alias("_full"))
        )
    return present.distinct()


def _check(run: Run, export: Export, files: Sequence[ExportFile]) -> None:
    """Raises ManifestError where the full export by which late resources are judged is not there any more."""
    try:
        check_files(
            run.spark,
            run.arguments.landing_uri,
            [Export(export.id, export.submitted_at, True, True, (), tuple(files), ())],
        )
    except ManifestError as error:
        log("full export gone", run_id=run.run_id, export_id=export.id)
        raise error


def _known_full_exports(run: Run) -> list[FullExport]:
    table = f"{run.catalog}.{FULL_EXPORT_TABLE.name}"
    if not table_exists(run.spark, table):
        return []
    rows = (
        run.spark.table(table)
        .select("export_id", F.unix_micros("submitted_at").alias("micros"), "types", "unreadable", "files")
        .collect()
    )
    return [
        FullExport(
            Export(
                id=row.export_id,
                submitted_at=datetime.fromtimestamp(row.micros / 1_000_000, UTC),
                full=True,
                complete=True,
                types=tuple(json.loads(row.types)),
                files=tuple(ExportFile(*file) for file in json.loads(row.files)),
                deleted=(),
                listing=is_listing(row.export_id),
            ),
            unreadable=frozenset(json.loads(row.unreadable)),
            new=False,
        )
        for row in rows
    ]
