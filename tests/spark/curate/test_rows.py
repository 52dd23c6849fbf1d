"""What breaks a rule of a row is what Great Expectations calls unexpected: no more, no less."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from glue_jobs.curation import audit as auditing
from glue_jobs.curation.audit import audit
from glue_jobs.curation.counts import count, counts_all
from glue_jobs.curation.rows import Identity, that_hold
from glue_jobs.curation.rules import breaks
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.quarantine import key_hash
from schemas.expectation import ROW_KINDS, Expectation, Suite

pytestmark = pytest.mark.spark

RULES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("values_to_not_be_null", {"column": "a"}, {"none", "right"}),
    ("values_to_be_in_set", {"column": "a", "value_set": [1, 2]}, {"more"}),
    ("values_to_be_between", {"column": "a", "min_value": 2}, {"less", "both"}),
    ("values_to_be_between", {"column": "a", "max_value": 2, "strict_max": True}, {"equal", "more", "left"}),
    ("values_to_be_between", {"column": "a", "min_value": 1, "strict_min": True}, {"less", "both"}),
    ("values_to_be_between", {"column": "a", "min_value": 1, "max_value": 2}, {"more"}),
    ("values_to_match_regex", {"column": "k", "regex": "e$"}, {"less", "equal", "right", "left", "both"}),
    (
        "pair_values_to_be_equal",
        {"column_A": "a", "column_B": "b"},
        {"less", "more", "left", "right", "both"},
    ),
    (
        "pair_values_to_be_equal",
        {"column_A": "a", "column_B": "b", "ignore_row_if": "either_value_is_missing"},
        {"less", "more", "both"},
    ),
    (
        "pair_values_a_to_be_greater_than_b",
        {"column_A": "a", "column_B": "b"},
        {"less", "equal", "both"},
    ),
    (
        "pair_values_a_to_be_greater_than_b",
        {"column_A": "a", "column_B": "b", "or_equal": True, "ignore_row_if": "neither"},
        {"less", "both"},
    ),
    (
        "pair_values_a_to_be_greater_than_b",
        {"column_A": "a", "column_B": "b", "ignore_row_if": "either_value_is_missing"},
        {"less", "equal", "both"},
    ),
]
ROWS = [
    ("less", 1, 2),
    ("equal", 2, 2),
    ("more", 3, 2),
    ("left", 2, None),
    ("right", None, 2),
    ("none", None, None),
    ("both", 1, 9),
]


UNIQUE: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_be_unique", {"column": "k"}),
    ("expect_column_values_to_be_unique", {"column": "a"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["k", "a"]}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"]}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"], "ignore_row_if": "never"}),
    (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["a", "b"], "ignore_row_if": "any_value_is_missing"},
    ),
]


def test_one_query_counts_what_great_expectations_does(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = [("again", 2, None), ("never", None, None)]
    rows = spark.createDataFrame([*ROWS, *again], "k string, a int, b int").coalesce(1).cache()
    kinds = [*((f"expect_column_{kind}", with_) for kind, with_, _ in RULES), *UNIQUE]
    rules = [Expectation(kind, {**with_, "mostly": 0.9}, "halt", "r") for kind, with_ in kinds]
    # One by one, because the table as a whole would leave to Great Expectations what is asked twice.
    suites = [Suite("t", (rule,), Path("t.yaml")) for rule in rules]
    assert all(map(counts_all, suites))
    ours = [audit(rows, suite).checks for suite in suites]
    counted = [count(rows, suite) for suite in suites]
    assert {len(each) for each in counted} == {2, 3}
    monkeypatch.setattr(auditing, "count", lambda *_: {})
    assert ours == [audit(rows, suite).checks for suite in suites]
    assert {check.success for (check,) in ours} == {True, False}
    rows.unpersist()


def test_conditions_of_rows_and_unequal_arguments_are_left_to_great_expectations(spark: SparkSession) -> None:
    rows = spark.createDataFrame(ROWS, "k string, a int, b int").coalesce(1).cache()
    kind, column = "expect_column_values_to_not_be_null", {"column": "a"}
    some = {**column, "row_condition": 'col("k").notNull()', "condition_parser": "great_expectations"}
    between = "expect_column_values_to_be_between"
    rules = (
        Expectation(kind, column, "halt", "r"),
        Expectation(kind, {**some, "row_condition": 'col("b") > 8'}, "halt", "r"),
        Expectation(between, {**column, "min_value": 2}, "halt", "r"),
        Expectation(between, {**column, "min_value": 3}, "halt", "r"),
        Expectation("expect_column_values_to_match_regex", {"column": "a", "regex": 3}, "halt", "r"),
    )
    checks = audit(rows, Suite("t", rules, Path("t.yaml"))).checks
    assert [check.unexpected for check in checks[:4]] == [2, 0, 2, 4]
    rows.unpersist()


def test_each_kind_of_rule_breaks_as_great_expectations_counts(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "count", lambda *_: {})
    rows = spark.createDataFrame(ROWS, "k string, a int, b int").coalesce(1).cache()
    rules = [Expectation(f"expect_column_{kind}", with_, "quarantine", "r") for kind, with_, _ in RULES]
    assert {rule.type for rule in rules} == set(ROW_KINDS)
    suite = Suite("t", tuple(rules), Path("t.yaml"))
    flags = [breaks(rule).alias(f"r{number}") for number, rule in enumerate(rules)]
    held = rows.select("k", *flags).collect()
    for number, (check, (kind, _, broken)) in enumerate(zip(audit(rows, suite).checks, RULES, strict=True)):
        assert {row.k for row in held if row[f"r{number}"]} == broken, kind
        assert check.evaluated, kind
        assert (check.unexpected, check.halts) == (len(broken), True), kind
    some = replace(suite, expectations=(rules[0], rules[3]))
    assert {row.k for row in that_hold(rows, some).collect()} == {"less", "both"}
    rows.unpersist()


def test_a_row_is_known_by_the_hash_that_ops_has_of_its_key(spark: SparkSession) -> None:
    keys = KeySet.listed("k", ["a", "b"]).rows(spark)
    hashes = keys.select(Identity(("k",), "Patient").hashed().alias("h")).collect()
    assert {row.h for row in hashes} == {key_hash("Patient", "a"), key_hash("Patient", "b")}
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    frame = spark.createDataFrame([("a", moment), ("a", None)], "k string, t timestamp")
    assert len({row.h for row in frame.select(Identity(("k", "t")).hashed().alias("h")).collect()}) == 2
