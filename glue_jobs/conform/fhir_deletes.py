"""Resources that are gone, learned from full exports: what one lacks, though it is older, was deleted.

An export is not a snapshot: what is written while it runs may be in it or not. So a resource that is
absent counts as deleted only if it was last updated before the export was submitted; and only if every
line of the export's files of that type could be read. The list of a type's identities that a deletion
between exports leads to is judged by in the same way; of several, the latest decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.export_manifests import Export, ExportFile, ManifestError, check_files
from glue_jobs.conform.fhir_lines import LineFile, parse_resources, read_lines
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

    @property
    def submitted_micros(self) -> int:
        """When it was submitted, in microseconds: datetimes go to Spark by way of this machine's zone."""
        return round(self.export.submitted_at.timestamp() * 1_000_000)


@dataclass(frozen=True)
class Reconciliation:
    """For each resource type the latest full export that decides it."""

    by_type: dict[str, FullExport]

    @property
    def types(self) -> set[str]:
        """The types that can be decided."""
        return set(self.by_type)

    @property
    def new(self) -> bool:
        """Does any of them decide what the table holds, and not only what comes late?"""
        return any(full.new for full in self.by_type.values())

    def full_export(self, value: Callable[[FullExport], SparkColumn], type_: str) -> SparkColumn:
        """A value of the full export that decides the row's resource type; null where none does."""
        names: dict[str, list[str]] = {}
        for name, full in sorted(self.by_type.items()):
            names.setdefault(full.export.id, []).append(name)
        chosen = F.lit(None).cast(type_)
        for decided in names.values():
            of = F.col("resource_type").isin(decided)
            chosen = F.when(of, value(self.by_type[decided[0]])).otherwise(chosen)
        return chosen


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
        # Of its partitions, which the table's metadata tell without reading a row.
        table = f"{run.catalog}.watershed_conformed.fhir_resource.partitions"
        types |= {row[0] for row in run.spark.table(table).select("partition.resource_type").collect()}
    by_type: dict[str, FullExport] = {}
    for name in types:
        deciding = [full for full in (*known, *new) if full.decides(name)]
        if deciding:
            by_type[name] = max(deciding, key=lambda full: (full.export.submitted_at, full.export.id))
    return Reconciliation(by_type)


def listed_resources(run: Run, plan: Reconciliation) -> DataFrame | None:
    """``resource_type, id`` of what new listings hold; None where no new listing decides a type."""
    files = [
        file
        for name, full in plan.by_type.items()
        if full.new and full.export.listing
        for file in full.export.files
        if file.type == name
    ]
    return _keys(run, files) if files else None


def judge_late(run: Run, won: DataFrame, plan: Reconciliation, types: Collection[str]) -> DataFrame:
    """Winners, those that are ``late`` judged: tombstones where the type's full export lacks them.

    Such an export was consumed by an earlier run, so its files of these types are read again.

    Raises
    ------
    ManifestError : they are not there any more
    """
    files: list[ExportFile] = []
    for name in sorted(types):
        full = plan.by_type[name]
        wanted = [file for file in full.export.files if file.type == name]
        _check(run, full.export, wanted)
        files += wanted
    if not files:
        return won.withColumn("absent", F.col("late"))
    there = _keys(run, files).distinct().withColumn("_there", F.lit(True))
    return won.join(there, ["resource_type", "id"], "left").withColumn(
        "absent", F.col("late") & F.col("_there").isNull()
    )


def _keys(run: Run, files: Sequence[ExportFile]) -> DataFrame:
    named = [LineFile(file.key, file.type, None, None) for file in files]
    lines = read_lines(run.spark, run.arguments.landing_uri, named)
    return parse_resources(lines).where("reason is null").select("resource_type", "id")


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
