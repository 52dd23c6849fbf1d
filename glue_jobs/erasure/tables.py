"""Which rows of which tables are a subject's: found, deleted, and counted where something still names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyspark.sql import SparkSession

from glue_jobs.curation.declarations import Declarations
from glue_jobs.erasure.subject import Subject, item_predicate, resource_predicate
from glue_jobs.lake.quarantine import QUARANTINE_TABLE, key_hash
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import literal, quoted, table_exists
from schemas import ItemType

ResourceKeys = Mapping[str, list[str]]
"""Ids by resource type."""


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
