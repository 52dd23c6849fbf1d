"""Predicates that stand for sets of keys, on a real Spark."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from glue_jobs.lake.keys import SLOTS, in_slots, slots_taken, taken_flags

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
