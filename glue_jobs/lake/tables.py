"""Iceberg tables: made where absent, widened where their declaration grew, read with their snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StructField,
    StructType,
    TimestampType,
    _parse_datatype_string,
)

from glue_jobs.lake.errors import TableError

PROPERTIES: Mapping[str, str] = {
    # Athena cannot read version 3 (https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg.html).
    "format-version": "2",
    # Changes are few beside what a table holds: write delete files, and fold them in now and then
    # (``delete_files.py``). Small curated tables are written whole instead, by ``curation/publish.py``.
    "write.delete.mode": "merge-on-read",
    "write.update.mode": "merge-on-read",
    "write.merge.mode": "merge-on-read",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
}
_FEW = 2_000
"""Rows that stand in the query itself: some hundred KB."""
PROPERTY_PREFIX = "watershed."
"""Begins the names of the properties that Watershed gives to snapshots."""


@dataclass(frozen=True)
class Column:
    """A column: ``type`` as in Spark's DDL, such as ``decimal(38,9)``; ``comment`` for readers."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class TableSpec:
    """The shape a table must have.

    Attributes
    ----------
    name : ``database.table``, without the catalog
    columns : in order
    comment : what the table holds
    partitioned_by : Iceberg transforms, such as ``bucket(8, id)``
    properties : beside those that every table has (``PROPERTIES``)
    """

    name: str
    columns: tuple[Column, ...]
    comment: str = ""
    partitioned_by: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


def quoted(name: str) -> str:
    """A name as SQL takes it whatever its characters: ``audit_1-a`` → `` `audit_1-a` ``."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as a SQL literal; backslash and quote are the two characters Spark gives a meaning."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def ensure_table(spark: SparkSession, catalog: str, spec: TableSpec) -> str:
    """Make the table if absent; else add columns it lacks and widen types. Returns its full name.

    A column that is no longer declared stays: dropping is never implied. Costs one commit where something
    changes and none where nothing does.

    Raises
    ------
    TableError : a column exists with a type that cannot become the declared one
    """
    full_name = f"{catalog}.{spec.name}"
    if not table_exists(spark, full_name):
        database = spec.name.rpartition(".")[0]
        spark.sql(f"create namespace if not exists {catalog}.{quoted(database)}")
        spark.sql(_create_statement(full_name, spec))
        return full_name
    for statement in _alterations(full_name, _schema(spark, iceberg_table(spark, full_name)), spec.columns):
        spark.sql(statement)
    return full_name


def table_exists(spark: SparkSession, full_name: str) -> bool:
    """Whether ``catalog.database.table`` exists."""
    return spark.catalog.tableExists(full_name)


def tables_in(spark: SparkSession, catalog: str, database: str) -> list[str]:
    """Full names of a database's tables; none where it does not exist yet."""
    if not spark.catalog.databaseExists(f"{catalog}.{database}"):
        return []
    rows = spark.sql(f"show tables in {catalog}.{database}").collect()
    return sorted(f"{catalog}.{database}.{row.tableName}" for row in rows)


def append_rows(spark: SparkSession, full_name: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Append a few rows, given in the table's column order, in one file and one commit; none: no commit."""
    if rows:
        # Few rows in one task need no shuffle to bring those of one partition together.
        frame = few_rows(spark, rows, spark.table(full_name).schema)
        frame.writeTo(full_name).option("distribution-mode", "none").append()


def few_rows(spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: StructType) -> DataFrame:
    """A frame of rows at hand, in one partition: booleans, numbers, texts, decimals, dates, and datetimes for timestamps.

    ``createDataFrame`` would have a Python worker hand each of them to Java, which takes a tenth of a second.
    """
    if len(rows) > _FEW:
        return spark.createDataFrame(list(rows), schema).coalesce(1)
    times = {each.name for each in schema.fields if isinstance(each.dataType, TimestampType)}
    texts = StructType(
        [StructField(e.name, LongType() if e.name in times else e.dataType) for e in schema.fields]
    )
    members = [dict(zip(schema.names, map(_in_json, row), strict=True)) for row in rows]
    # A value of another type is an error: else none of the rows would be there.
    parsed = F.from_json(F.lit(json.dumps(members)), ArrayType(texts), {"mode": "FAILFAST"})
    frame = spark.range(0, 1, 1, 1).select(F.inline(parsed))
    return frame.select(
        *(
            F.timestamp_micros(quoted(name)).alias(name) if name in times else F.col(quoted(name))
            for name in schema.names
        )
    )


def _in_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1_000_000)
    return str(value) if isinstance(value, Decimal | date) else value


def iceberg_table(spark: SparkSession, full_name: str) -> Any:
    """Iceberg's own Java object for a table, current: snapshots, branches and metadata-only commits.

    The session's catalog caches this object, so what is committed through it is seen by SQL at once.
    """
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    session = spark._jsparkSession  # type: ignore[attr-defined, unused-ignore]
    table = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(session, full_name)
    table.refresh()
    return table


def current_snapshot(table: Any) -> int | None:
    """Id of the snapshot that ``main`` shows, or None while nothing was ever committed."""
    snapshot = table.currentSnapshot()
    return None if snapshot is None else int(snapshot.snapshotId())


def _schema(spark: SparkSession, table: Any) -> StructType:
    """A table's columns as ``spark.table`` has them, without a query to plan."""
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    converted = jvm.org.apache.iceberg.spark.SparkSchemaUtil.convert(table.schema())
    return StructType.fromJson(json.loads(converted.json()))


def java_texts(held: Any) -> dict[str, str]:
    """A Java map of texts in one call: entry by entry each takes two."""
    jvm: Any = SparkContext._active_spark_context._jvm  # type: ignore[union-attr, unused-ignore]
    found: dict[str, str] = json.loads(
        jvm.com.fasterxml.jackson.databind.ObjectMapper().writeValueAsString(held)
    )
    return found


def row_count(snapshot: Any) -> int:
    """Rows that a snapshot shows, from its metadata alone: those in data files, less those deleted by position."""
    summary = {} if snapshot is None else java_texts(snapshot.summary())
    return int(summary.get("total-records", 0)) - int(summary.get("total-position-deletes", 0))


def ancestry(table: Any, snapshot: Any) -> Iterator[Any]:
    """A snapshot and those before it, the newest first, as far as they have not expired; none for None."""
    while snapshot is not None:
        yield snapshot
        parent = snapshot.parentId()
        snapshot = None if parent is None else table.snapshot(parent)


def snapshot_properties(table: Any, snapshot_id: int | None = None) -> dict[str, str]:
    """Watershed's own properties of the newest snapshot that has any, from ``snapshot_id`` (default: the
    current one) backwards: snapshots of maintenance have none."""
    snapshot = table.currentSnapshot() if snapshot_id is None else table.snapshot(snapshot_id)
    for each in ancestry(table, snapshot):
        summary = java_texts(each.summary())
        found = {key: value for key, value in summary.items() if key.startswith(PROPERTY_PREFIX)}
        if found:
            return found
    return {}


def read_at(spark: SparkSession, full_name: str, snapshot_id: int | None) -> DataFrame:
    """The table as it was at a snapshot; no rows for None, the state before the first commit."""
    if snapshot_id is None:
        return spark.table(full_name).limit(0)
    return spark.read.option("snapshot-id", snapshot_id).table(full_name)


def _create_statement(full_name: str, spec: TableSpec) -> str:
    columns = ",\n  ".join(_column_ddl(column) for column in spec.columns)
    properties = ", ".join(
        f"{literal(key)}={literal(value)}" for key, value in {**PROPERTIES, **spec.properties}.items()
    )
    partitions = f"\npartitioned by ({', '.join(spec.partitioned_by)})" if spec.partitioned_by else ""
    comment = f"\ncomment {literal(spec.comment)}" if spec.comment else ""
    return (
        f"create table if not exists {full_name} (\n  {columns}\n)\nusing iceberg"
        f"{partitions}{comment}\ntblproperties ({properties})"
    )


def _column_ddl(column: Column) -> str:
    comment = f" comment {literal(column.comment)}" if column.comment else ""
    return f"{quoted(column.name)} {column.type}{comment}"


def _alterations(full_name: str, existing: StructType, columns: Sequence[Column]) -> list[str]:
    """Statements that bring ``existing`` to ``columns``: additions in one, each widening in its own."""
    held = {each.name.lower(): each for each in existing.fields}
    added = [column for column in columns if column.name.lower() not in held]
    statements = []
    if added:
        names = ", ".join(_column_ddl(column) for column in added)
        statements.append(f"alter table {full_name} add columns ({names})")
    for column in columns:
        field_ = held.get(column.name.lower())
        if field_ is None:
            continue
        name = quoted(column.name)
        if column.comment and field_.metadata.get("comment") != column.comment:
            comment = literal(column.comment)
            statements.append(f"alter table {full_name} alter column {name} comment {comment}")
        held_type = field_.dataType.simpleString()
        if held_type == column.type:
            continue  # parsing asks the JVM, a dozen times
        declared = _parse_datatype_string(column.type)
        if held_type == declared.simpleString():
            continue
        if not _widens(field_.dataType, declared):
            raise TableError(
                f"{full_name}.{column.name} is {field_.dataType.simpleString()} and is declared"
                f" {declared.simpleString()}, which Iceberg cannot turn it into",
                "Declare the column under a new name, or drop the table so that the next run makes it anew",
            )
        statements.append(f"alter table {full_name} alter column {name} type {column.type}")
    return statements


def _widens(held: DataType, declared: DataType) -> bool:
    """Iceberg's safe promotions: int to long, float to double, more precision at the same scale."""
    if isinstance(held, DecimalType) and isinstance(declared, DecimalType):
        return held.scale == declared.scale and held.precision <= declared.precision
    pair = (type(held), type(declared))
    return pair in ((IntegerType, LongType), (FloatType, DoubleType))
