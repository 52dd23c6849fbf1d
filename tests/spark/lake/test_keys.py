"""Sets of keys, and predicates that stand for them, on a real Spark."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from glue_jobs.lake import keys as keys_module
from glue_jobs.lake.keys import FEW, SLOTS, KeySet, in_slots, slots_taken, taken_flags

pytestmark = pytest.mark.spark


def test_slots_let_every_key_pass_and_few_others(spark: SparkSession) -> None:
    columns = ("site-id", "at")
    rows = spark.range(20_000).selectExpr(
        "concat('site ', id % 7) as `site-id`",
        "timestamp_millis(1772000000000 + id) as at",
        "id % 20 = 0 as chosen",
    )
    row = rows.where("chosen").selectExpr(slots_taken(columns)).first()
    assert row is not None
    assert max(row[0]) > SLOTS // 2, "keys spread over all slots"
    rows.createOrReplaceTempView("keys_in_slots")
    passed = spark.sql(
        f"select chosen, count(*) as count from keys_in_slots t where {in_slots(columns)} group by chosen",
        args={"taken": taken_flags(row[0])},
    ).collect()

    counts = {each["chosen"]: each["count"] for each in passed}
    assert counts.pop(True) == 1_000
    assert counts.get(False, 0) < 19_000 * 2 * 1_000 / SLOTS, "at most twice what chance lets pass"


def test_texts_up_to_a_limit_are_listed_once_each_and_nulls_are_left_out(spark: SparkSession) -> None:
    ids = spark.range(FEW * 2).selectExpr(f"nullif(concat('a-', id % {FEW + 1}), 'a-7') as id")
    keys = KeySet.of(ids)
    assert keys.few == tuple(sorted(f"a-{n}" for n in range(FEW + 1) if n != 7))
    assert not keys.is_empty()


@pytest.mark.parametrize("columns", ["id string", "site string, day date"])
def test_a_set_of_nulls_alone_is_empty(spark: SparkSession, columns: str) -> None:
    nulls = spark.createDataFrame([(None,) * (columns.count(",") + 1)], columns)
    keys = KeySet.of(nulls)
    assert keys.is_empty()
    assert keys.rows(spark).columns == nulls.columns
    assert keys.rows(spark).isEmpty()


def test_keys_of_several_columns_keep_their_types_and_values(spark: SparkSession) -> None:
    moment = datetime(2026, 3, 1, 23, 59, 59, 123456, tzinfo=UTC)
    rows = [("a", date(1, 1, 1), moment, Decimal("1.500"), 7), ("b", date(9999, 12, 31), moment, None, 7)]
    frame = spark.createDataFrame(rows, "id string, day date, at timestamp, n decimal(10,3), m bigint")
    keys = KeySet.of(frame.union(frame))
    assert keys.frame is not None
    assert keys.frame.schema.simpleString() == frame.schema.simpleString()
    assert keys.frame.collect() == frame.where("id = 'a'").collect()
    assert keys.choose(frame).collect() == frame.where("id = 'a'").collect()


@pytest.mark.parametrize(("limit", "computed"), [(FEW * 2, 1), (FEW, 2)])
def test_what_finds_keys_runs_once_unless_they_are_very_many(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, limit: int, computed: int
) -> None:
    monkeypatch.setattr(keys_module, "AT_HAND", limit)
    reads = spark.sparkContext.accumulator(0)

    def read(rows: object) -> object:
        reads.add(1)
        return rows

    source = spark.range(0, FEW + 1, 1, 1).mapInPandas(read, "id bigint")  # type: ignore[arg-type]
    keys = KeySet.of(source.select(F.col("id").cast("string")))
    try:
        for _ in range(3):
            assert not keys.is_empty()
            assert keys.choose(spark.range(10).selectExpr("cast(id as string) as id")).count() == 10
    finally:
        keys.close()
    assert reads.value == computed
