"""The lake's tables without a subject: its rows deleted, then data files, snapshots and strays that held them.

A delete in Iceberg leaves the rows readable: in data files, which delete files only point into, and in older
snapshots; and manifests keep the bounds of columns of the files that a commit removed. So every table is
rewritten where deletes point, gets new manifests, loses its branches and all snapshots but one, and then
every file that belongs to none. Nothing else may write meanwhile: files of a commit under way would be
taken for strays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.curation.declarations import Declarations
from glue_jobs.erasure.subject import Subject, item_predicate, resource_predicate
from glue_jobs.lake.maintenance import maintain_table
from glue_jobs.lake.quarantine import QUARANTINE_TABLE, key_hash
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import iceberg_table, literal, quoted, snapshot_properties, table_exists
from schemas import ItemType

_MANIFEST_SIZE = "commit.manifest.target-size-bytes"

ResourceKeys = Mapping[str, list[str]]
"""Ids by resource type."""


@dataclass(frozen=True)
class ScrubbedTable:
    """What was done to a table: rows deleted, files rewritten and removed, snapshots and branches dropped."""

    table: str
    rows: int
    rewritten_files: int
    expired_snapshots: int
    dropped_branches: int
    removed_strays: int

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def erased_resources(run: Run, subject: Subject) -> dict[str, list[str]]:
    """Ids, by type, of the resources that go: the subject, and what refers to it."""
    table = f"{run.catalog}.watershed_conformed.fhir_resource"
    if subject.item_type is not None or not table_exists(run.spark, table):
        return {}
    found: dict[str, list[str]] = {subject.type: [subject.key[0]]}
    rows = run.spark.table(table).where(resource_predicate(subject)).select("resource_type", "id").collect()
    for row in rows:
        if row.id not in found.setdefault(row.resource_type, []):
            found[row.resource_type].append(row.id)
    return found


def delete_rows(
    run: Run,
    subject: Subject,
    resources: ResourceKeys,
    item_types: Iterable[ItemType],
    declarations: Declarations,
) -> dict[str, int]:
    """Delete the subject's rows; how many, by full table name, where there were any."""
    conformed, curated = f"{run.catalog}.watershed_conformed", f"{run.catalog}.watershed_curated"
    predicates: dict[str, str] = {}
    if subject.item_type is None:
        predicates[f"{conformed}.fhir_resource"] = resource_predicate(subject)
    for item_type in item_types:
        predicate = item_predicate(subject, item_type)
        if predicate is not None:
            for suffix in ("", "_history"):
                predicates[f"{conformed}.{item_type.sql_name}{suffix}"] = predicate
    for view in declarations.views.values():
        ids = resources.get(view.resource, [])
        if ids:
            predicates[f"{curated}.{view.name}"] = f"resource_key in ({', '.join(map(literal, ids))})"
    for model in declarations.models.values():
        naming = _naming(run.spark, f"{curated}.{model.name}", subject)
        if naming:
            predicates[f"{curated}.{model.name}"] = naming
    hashes = [key_hash(name, id_) for name, ids in resources.items() for id_ in ids]
    if subject.item_type is not None:
        hashes = [key_hash(*subject.key)]
    if hashes:
        listed = ", ".join(map(literal, hashes))
        predicates[f"{run.catalog}.{QUARANTINE_TABLE.name}"] = f"key_hash in ({listed})"
    counts = {table: _delete(run.spark, table, predicate) for table, predicate in predicates.items()}
    return {table: count for table, count in counts.items() if count}


def still_naming(run: Run, subject: Subject, tables: Iterable[str]) -> dict[str, int]:
    """Rows, by table, in which a text still names the subject as a whole value or inside JSON."""
    found = {}
    for table in tables:
        predicate = _naming(run.spark, table, subject, inside=True)
        count = run.spark.table(table).where(predicate).count() if predicate else 0
        if count:
            found[table] = count
    return found


def scrub_table(run: Run, table: str, rows: int) -> ScrubbedTable:
    """Leave nothing of the table but what its current rows need."""
    spark = run.spark
    branches = _drop_branches(spark, table)
    done = maintain_table(spark, table, keep=timedelta(0))
    renewed = _renew_manifests(spark, table)
    return ScrubbedTable(
        table.partition(".")[2],
        rows,
        done.rewritten_files + done.rewritten_delete_files,
        done.expired_snapshots + renewed,
        branches,
        done.removed_orphans + _remove_strays(spark, table),
    )


def _delete(spark: SparkSession, table: str, predicate: str) -> int:
    if not table_exists(spark, table):
        return 0
    count = spark.table(table).where(predicate).count()
    if count:
        spark.sql(f"delete from {table} where {predicate}")
    return count


def _naming(spark: SparkSession, table: str, subject: Subject, *, inside: bool = False) -> str:
    """SQL for rows that name the subject in a text column; empty where the table has none."""
    if not table_exists(spark, table):
        return ""
    values = [subject.needle] if subject.item_type is not None else [subject.key[0], subject.reference]
    tests = []
    for field in spark.table(table).schema.fields:
        kind = field.dataType.simpleString()
        if kind == "string":
            tests.append(f"{quoted(field.name)} in ({', '.join(map(literal, values))})")
        elif not kind.startswith(("array", "map", "struct")):
            continue
        text = quoted(field.name) if kind == "string" else f"to_json({quoted(field.name)})"
        if inside or kind != "string":
            quoted_values = [f'"{value}' for value in values]
            tests += [f"contains({text}, {literal(value + end)})" for value in quoted_values for end in '"/']
    return f"coalesce({' or '.join(tests)}, false)" if tests else ""


def _drop_branches(spark: SparkSession, table: str) -> int:
    """Drop every branch and tag but ``main``: each keeps its snapshots, and their files, alive."""
    names = [str(name) for name in iceberg_table(spark, table).refs().keySet() if str(name) != "main"]
    for name in names:
        reference = iceberg_table(spark, table).refs().get(name)
        kind = "branch" if reference.isBranch() else "tag"
        spark.sql(f"alter table {table} drop {kind} {quoted(name)}")
    return len(names)


def _renew_manifests(spark: SparkSession, table: str) -> int:
    """Write manifests without entries of removed files, whose bounds hold values; snapshots that it expired.

    Iceberg leaves a lone manifest as it is, unless it is larger than manifests of the table should be.
    """
    catalog, _, name = table.partition(".")
    iceberg = iceberg_table(spark, table)
    snapshot = iceberg.currentSnapshot()
    manifests = [] if snapshot is None else list(snapshot.allManifests(iceberg.io()))
    if not any(each.hasDeletedFiles() for each in manifests):
        return 0
    held = snapshot_properties(iceberg)
    half = max(1, min(int(each.length()) for each in manifests) // 2)
    spark.sql(f"alter table {table} set tblproperties ({literal(_MANIFEST_SIZE)} = {literal(str(half))})")
    try:
        named = f"table => {literal(name)}, use_caching => false"
        spark.sql(f"call {catalog}.system.rewrite_manifests({named})").collect()
    finally:
        spark.sql(f"alter table {table} unset tblproperties ({literal(_MANIFEST_SIZE)})")
    append = iceberg_table(spark, table).newAppend()  # leaves out manifests that hold nothing any more
    for key, value in held.items():
        append.set(key, value)
    append.commit()
    before = sum(1 for _ in iceberg_table(spark, table).snapshots())
    moment = datetime.now(UTC).isoformat(sep=" ", timespec="milliseconds")
    spark.sql(
        f"call {catalog}.system.expire_snapshots(table => {literal(name)},"
        f" older_than => timestamp {literal(moment)}, retain_last => 1)"
    ).collect()
    return before - sum(1 for _ in iceberg_table(spark, table).snapshots())


def _remove_strays(spark: SparkSession, table: str) -> int:
    """Remove files that belong to no snapshot, however young: the SQL procedure spares those of a day."""
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    actions = jvm.org.apache.iceberg.spark.actions.SparkActions.get(spark._jsparkSession)  # type: ignore[attr-defined, unused-ignore]
    now = int(datetime.now(UTC).timestamp() * 1000) + 1
    removed = actions.deleteOrphanFiles(iceberg_table(spark, table)).olderThan(now).execute()
    return len(list(removed.orphanFileLocations()))
