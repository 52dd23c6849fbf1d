"""Maintenance changes no row that anybody can see within the retention, and loses no watermark."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from glue_jobs.lake.errors import TableError
from glue_jobs.lake.layout import apply_layout
from glue_jobs.lake.maintenance import maintain_table
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    current_snapshot,
    ensure_table,
    iceberg_table,
    read_at,
    snapshot_properties,
)
from schemas.layout import Layout
from tests.conftest import LAKE_BUCKET

pytestmark = pytest.mark.spark

SPEC = TableSpec("watershed_test.maintained", (Column("k", "bigint"), Column("v", "string")))


@pytest.fixture
def table(spark: SparkSession) -> Iterator[str]:
    name = ensure_table(spark, "lake", SPEC)
    for start in range(0, 50, 10):
        rows = spark.range(start, start + 10).selectExpr("id as k", "'x' as v").coalesce(1)
        rows.writeTo(name).option("snapshot-property.watershed.mark", f"m{start}").append()
    spark.sql(f"delete from {name} where k % 7 = 0")
    yield name
    spark.sql(f"drop table {name} purge")


def _keys(spark: SparkSession, table: str) -> list[int]:
    return sorted(row.k for row in spark.table(table).collect())


def test_files_are_compacted_and_old_snapshots_go(spark: SparkSession, table: str, mirror: Path) -> None:
    expected = [key for key in range(50) if key % 7]
    folder = mirror / LAKE_BUCKET / "warehouse" / "watershed_test" / "maintained" / "data"
    stray = folder / "stray.parquet"
    stray.write_text("left by a killed job")
    long_ago = time.time() - 10 * 86_400
    os.utime(stray, (long_ago, long_ago))

    done = maintain_table(spark, table, keep=timedelta(0))
    assert done.rewritten_files == 5
    assert done.expired_snapshots >= 6
    assert done.removed_orphans == 1
    assert not stray.exists()
    assert _keys(spark, table) == expected
    assert spark.table(f"{table}.delete_files").count() == 0
    assert len(list(folder.glob("*.parquet"))) == 1
    assert snapshot_properties(iceberg_table(spark, table)) == {"watershed.mark": "m40"}


def test_what_is_needed_or_young_stays(spark: SparkSession, table: str) -> None:
    before = current_snapshot(iceberg_table(spark, table))
    assert before is not None
    maintain_table(spark, table, keep=timedelta(0), needed=[before])
    assert read_at(spark, table, before).count() == 42
    maintain_table(spark, table, keep=timedelta(days=1))
    assert read_at(spark, table, before).count() == 42
    assert maintain_table(spark, table, keep=timedelta(0)).expired_snapshots > 0
    assert _keys(spark, table) == [key for key in range(50) if key % 7]


def test_a_layout_is_applied_where_it_differs_and_compaction_sorts_by_it(
    spark: SparkSession, table: str
) -> None:
    layout = Layout(sort_by=("v", "k"), row_group_mb=1, keep_days=3, statistics={"v": "none"})
    assert apply_layout(spark, iceberg_table(spark, table), layout)
    assert not apply_layout(spark, iceberg_table(spark, table), layout)
    held = dict(iceberg_table(spark, table).properties())
    assert held["history.expire.max-snapshot-age-ms"] == str(3 * 86_400_000)
    assert held["write.parquet.row-group-size-bytes"] == str(1024 * 1024)
    assert held["write.metadata.metrics.column.v"] == "none"
    spark.sql(f"insert into {table} values (99, 'a'), (98, 'b'), (97, 'a')")
    maintain_table(spark, table, keep=timedelta(days=1))
    kept = [(row.v, row.k) for row in spark.sql(f"select v, k from {table} order by _file, _pos").collect()]
    assert kept == sorted(kept)
    assert kept[:3] == [("a", 97), ("a", 99), ("b", 98)]
    assert len(kept) == 45

    assert apply_layout(spark, iceberg_table(spark, table), Layout())
    assert not iceberg_table(spark, table).sortOrder().isSorted()
    assert "write.metadata.metrics.column.v" not in dict(iceberg_table(spark, table).properties())
    with pytest.raises(TableError, match="names x, which is not a column"):
        apply_layout(spark, iceberg_table(spark, table), Layout(sort_by=("x",)))


def test_deletes_add_no_more_delete_files_than_there_are_data_files(spark: SparkSession, table: str) -> None:
    for key in range(1, 40, 8):
        spark.sql(f"delete from {table} where k in ({key}, {key + 1}, {key + 5})")
    files, deletes = spark.table(f"{table}.data_files").count(), spark.table(f"{table}.delete_files").count()
    assert 0 < deletes <= files
