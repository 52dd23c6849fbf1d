"""Bytes that questions of ``docs/queries`` read: from curated tables, unpartitioned Parquet, landing JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlglot
from pyspark.sql import SparkSession
from sqlglot import exp

from schemas.model import load_models
from schemas.view import load_views

Row = tuple[Any, ...]
QUESTIONS = (
    *("abnormal_results", "age_pyramid", "cohort_diabetes", "comorbidities", "encounters_by_month"),
    *("lab_monthly_average", "lab_trend_hba1c", "latest_blood_pressure", "overdue_patients"),
    "readmissions_30_days",
)
_QUERIES = Path(__file__).resolve().parents[1] / "docs" / "queries"
_LAST_DIGIT = 0.0101
"""Questions round to two places."""
_ITEM_FOLDERS = {"patient": "Patient", "address": "Address", "site_activity": "SiteActivity"}


def bytes_read(
    spark: SparkSession, catalog: str, landing: Path, plain: str
) -> dict[str, tuple[int, int, int]]:
    """For each question: bytes read of the curated tables, of unpartitioned Parquet, and of landing JSON.

    The first two are what Spark really read from storage, metadata included. JSON is read whole: all objects
    of the resource types and item types concerned.

    Parameters
    ----------
    plain : ``s3://`` folder for the Parquet files, one folder per table, rows as they come and default settings
    """
    found = {}
    for name in QUESTIONS:
        tree = sqlglot.parse_one((_QUERIES / f"{name}.sql").read_text(), read="athena")
        tables = sorted({each.name for each in tree.find_all(exp.Table) if each.db})
        for table in tables:
            _write_plain(spark, f"{catalog}.watershed_curated.{table}", f"{plain}/{table}")
        curated = _sql(tree, {each: f"{catalog}.watershed_curated.{each}" for each in tables})
        files = _sql(tree, {each: f"parquet.`{plain}/{each}`" for each in tables})
        answer, ours = counted(spark, curated)
        same, theirs = counted(spark, files)
        if not alike(answer, same):
            raise RuntimeError(f"{name}: both layouts must give the same rows")
        found[name] = (ours, theirs, sum(_landing_bytes(landing, each) for each in _sources(tables)))
    return found


def alike(one: Sequence[Row], other: Sequence[Row]) -> bool:
    """Whether two answers are the same but for the last digit of an average of doubles, which depends on the order
    of the rows."""
    values = [(a, b) for rows in zip(one, other, strict=False) for a, b in zip(*rows, strict=True)]
    return len(one) == len(other) and all(
        math.isclose(a, b, abs_tol=_LAST_DIGIT) if isinstance(a, float) and isinstance(b, float) else a == b
        for a, b in values
    )


def _answer(spark: SparkSession, sql: str) -> list[Row]:
    return sorted((tuple(row) for row in spark.sql(sql).collect()), key=str)


def _sql(tree: exp.Expr, names: Mapping[str, str]) -> str:
    """The question in Spark's SQL, its tables under other names."""
    tree = tree.copy()
    for table in tree.find_all(exp.Table):
        if table.db:
            alias = table.alias or table.name
            table.replace(exp.alias_(exp.to_table(names[table.name], dialect="spark"), alias, table=True))
    return tree.sql(dialect="spark")


def _write_plain(spark: SparkSession, table: str, folder: str) -> None:
    # Rows in no order: as they would come from a load that does not care.
    rows = spark.table(table).repartition(2)
    rows.write.mode("overwrite").option("compression", "zstd").parquet(folder)


def counted(spark: SparkSession, sql: str) -> tuple[list[Row], int]:
    """The answer, and the bytes that were read for it."""
    before = _bytes_so_far(spark)
    answer = _answer(spark, sql)
    return answer, _bytes_so_far(spark) - before


def _bytes_so_far(spark: SparkSession) -> int:
    """Bytes that Hadoop's file systems have read in this process."""
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    return sum(int(each.getBytesRead()) for each in jvm.org.apache.hadoop.fs.FileSystem.getAllStatistics())


def _sources(tables: list[str]) -> set[str]:
    """Landing folders of all that curated tables are made from, those of a model's tables included."""
    views, models = load_views(), load_models()
    found: set[str] = set()
    for table in tables:
        if table in views:
            found.add(f"fhir/resource_type={views[table].resource}")
            continue
        for each in models[table].depends_on:
            if each.zone == "curated":
                found |= _sources([each.table])
            else:
                found.add(f"items/*/item_type={_ITEM_FOLDERS[each.table]}")
    return found


def _landing_bytes(landing: Path, source: str) -> int:
    return sum(file.stat().st_size for file in landing.glob(f"{source}/**/*") if file.is_file())
