"""However often a table is merged into, few delete files wait in it, and folding them in changes nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession

from glue_jobs.lake import delete_files
from glue_jobs.lake.delete_files import FOLDED_EVERY, commits_waiting, fold_when_due
from glue_jobs.lake.merge import merge_into
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    current_snapshot,
    ensure_table,
    iceberg_table,
    read_at,
    snapshot_properties,
)

pytestmark = pytest.mark.spark

SPEC = TableSpec(
    "watershed_test.folded",
    (Column("part", "string"), Column("k", "bigint"), Column("v", "bigint")),
    partitioned_by=("part",),
)
PARTS = ("p0", "p1")
Rows = dict[tuple[str, int], int]


@pytest.fixture
def table(spark: SparkSession) -> Iterator[str]:
    name = ensure_table(spark, "lake", SPEC)
    rows = spark.range(800).selectExpr("concat('p', id % 2) as part", "id as k", "0 as v")
    rows.repartition(1, "part").writeTo(name).option("snapshot-property.watershed.mark", "kept").append()
    yield name
    spark.sql(f"drop table {name} purge")


def _held(spark: SparkSession, table: str) -> Rows:
    return {(row.part, row.k): row.v for row in spark.table(table).collect()}


def _merge(spark: SparkSession, table: str, changes: dict[tuple[str, int], int | None]) -> None:
    """None removes."""
    rows = spark.createDataFrame([(*key, v) for key, v in changes.items()], "part string, k bigint, v bigint")
    merge_into(spark, rows.coalesce(1), table, ["t.part = s.part", "t.k = s.k"], "v is null")


def _files(spark: SparkSession, table: str, kind: str) -> int:
    return spark.table(f"{table}.{kind}_files").count()


@pytest.mark.parametrize("large", [delete_files.LARGE, 1], ids=["files rewritten", "files left"])
def test_folding_changes_no_row_and_bounds_the_files(
    spark: SparkSession, table: str, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delete_files, "LARGE", large)
    dice, expected = random.Random(5), _held(spark, table)
    before = current_snapshot(iceberg_table(spark, table))
    most = folded = 0
    for number in range(1, 2 * FOLDED_EVERY + 2):
        keys = [(PARTS[k % 2], k) for k in (*dice.sample(range(800), 4), 1000 + number)]
        changes = {key: None if dice.random() < 0.2 else number for key in keys}
        _merge(spark, table, changes)
        expected = {key: v for key, v in {**expected, **changes}.items() if v is not None}
        assert _held(spark, table) == expected, number
        assert snapshot_properties(iceberg_table(spark, table)) == {"watershed.mark": "kept"}
        most = max(most, _files(spark, table, "delete"))
        folded += not commits_waiting(iceberg_table(spark, table))
    assert folded == 2
    # A merge leaves a delete file for each data file that it finds a row in, at most.
    assert most <= FOLDED_EVERY * (FOLDED_EVERY + 2)
    stayed = _paths(spark.table(table)) & _paths(read_at(spark, table, before))
    assert len(stayed) == (2 if large == 1 else 0)
    assert read_at(spark, table, before).count() == 800, "what was can still be asked"


def _paths(rows: DataFrame) -> set[str]:
    return {row.path for row in rows.selectExpr("_file as path").distinct().collect()}


def test_few_wait_after_a_folding(spark: SparkSession, table: str) -> None:
    for number in range(FOLDED_EVERY):
        assert commits_waiting(iceberg_table(spark, table)) == number
        _merge(spark, table, {("p0", 2 * number): 1, ("p1", 2 * number + 1): 1})
    assert commits_waiting(iceberg_table(spark, table)) == 0
    assert (_files(spark, table, "data"), _files(spark, table, "delete")) == (2, 0)
    assert not fold_when_due(spark, table), "there is nothing left to fold"


def test_what_cannot_be_folded_fails_nobody_and_is_told(
    spark: SparkSession, table: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(delete_files, "_FEWEST_FILES", {"min-input-files": "0"})  # which Iceberg refuses
    for number in range(FOLDED_EVERY):
        _merge(spark, table, {("p0", 2 * number): 1})
    told = capsys.readouterr()
    assert "delete files not folded" in told.out + told.err
    assert commits_waiting(iceberg_table(spark, table)) == FOLDED_EVERY
    assert sum(_held(spark, table).values()) == FOLDED_EVERY
