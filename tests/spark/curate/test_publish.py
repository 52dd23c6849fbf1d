"""Write, audit, publish: ``main`` moves to what passed its audit and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from glue_jobs.curation import publish as publishing
from glue_jobs.curation.audit import Audit, audit, check_suite
from glue_jobs.curation.counts import RENEWED, Renewed, count
from glue_jobs.curation.job import audit_failure
from glue_jobs.curation.publish import Change, Outcome, advance, branch_rows, publish
from glue_jobs.curation.results import RESULT_TABLE, record_results
from glue_jobs.curation.state import Consumed, TableState, read_state
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.errors import CommitConflict
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.maintenance import maintain_table
from glue_jobs.lake.run import Run, new_run_id
from glue_jobs.lake.tables import Column, TableSpec, current_snapshot, ensure_table, iceberg_table, read_at
from schemas import SchemaError
from schemas.expectation import Expectation, Suite
from tests.conftest import examples

pytestmark = pytest.mark.spark

SPEC = TableSpec("watershed_test.published", (Column("k", "string", "Key"), Column("v", "int")))
HALT = Expectation("expect_column_values_to_not_be_null", {"column": "v"}, "halt", "v is needed")
WARN = Expectation("expect_column_values_to_be_in_set", {"column": "v", "value_set": [1, 2]}, "warn", "odd")
UNIQUE = Expectation("expect_column_values_to_be_unique", {"column": "k"}, "halt", "one row per key")
SUITE = Suite("published", (HALT, WARN, UNIQUE), Path("published.yaml"))


@pytest.fixture
def table(spark: SparkSession) -> Iterator[str]:
    yield ensure_table(spark, "lake", SPEC)
    spark.sql(f"drop table lake.{SPEC.name} purge")


@pytest.fixture
def run(spark: SparkSession, landing_uri: str) -> Run:
    return _run(spark, landing_uri)


def _run(spark: SparkSession, landing_uri: str = "s3://x/", after: str = "") -> Run:
    return Run(spark, "curate", new_run_id(after), JobArguments(landing_uri), datetime.now(UTC))


def _frame(spark: SparkSession, *rows: tuple[str | None, int | None]) -> DataFrame:
    return spark.createDataFrame(list(rows), "k string, v int")


def _keys(spark: SparkSession, *keys: str) -> KeySet:
    return KeySet.of(spark.createDataFrame([(key,) for key in keys], "k string"))


def _rows(frame: DataFrame) -> list[tuple[object, ...]]:
    return sorted(map(tuple, frame.collect()), key=repr)


def _state(run_id: str) -> TableState:
    return TableState("d1", {"conformed.x": Consumed(7, run_id), "curated.y": Consumed(None, "")})


def test_rows_are_replaced_by_key_and_the_state_comes_with_them(
    spark: SparkSession, table: str, run: Run
) -> None:
    first = publish(run, table, Change(_frame(spark, ("a", 1), ("b", 1), ("c", 2))), _state("r1"), SUITE)
    assert (first.published, first.added, first.removed) == (True, 3, 0)
    assert read_state(iceberg_table(spark, table)) == _state("r1")

    second = publish(
        _run(spark),
        table,
        Change(_frame(spark, ("b", 2), ("d", 1)), _keys(spark, "b", "c", "d", "x")),
        _state("r2"),
        SUITE,
    )
    assert (second.added, second.removed) == (2, 2)
    assert _rows(spark.table(table)) == [("a", 1), ("b", 2), ("d", 1)]
    assert read_state(iceberg_table(spark, table)) == _state("r2")
    assert read_state(iceberg_table(spark, table), first.snapshot_id) == _state("r1")
    assert _rows(read_at(spark, table, first.snapshot_id)) == [("a", 1), ("b", 1), ("c", 2)]

    only_deletes = Change(_frame(spark), _keys(spark, "a"))
    third = publish(_run(spark), table, only_deletes, _state("r3"), SUITE)
    assert (third.added, third.removed) == (0, 1)
    assert read_state(iceberg_table(spark, table)) == _state("r3")

    rebuilt = publish(_run(spark), table, Change(_frame(spark, ("z", 1))), _state("r4"), SUITE)
    assert (rebuilt.added, rebuilt.removed) == (1, 2)
    # From metadata alone, and right where rows were deleted by position.
    assert [each.rows_before for each in (first, second, third, rebuilt)] == [0, 3, 3, 2]
    assert _rows(spark.table(table)) == [("z", 1)]
    assert list(iceberg_table(spark, table).refs()) == ["main"]


def test_a_column_that_is_given_no_more_goes_once_a_table_without_it_is_published(
    spark: SparkSession, table: str, run: Run
) -> None:
    spark.sql(f"alter table {table} add column w string")
    whole = _frame(spark, ("a", 1)).selectExpr("k", "v", "'x' as w")
    first = publish(run, table, Change(whole), _state("r1"), SUITE)
    refused = publish(_run(spark), table, Change(_frame(spark, ("a", None))), _state("r2"), SUITE)
    assert not refused.published
    assert _rows(spark.table(table)) == [("a", 1, "x")], "analysts keep the column with the last good version"

    rebuilt = publish(_run(spark), table, Change(_frame(spark, ("a", 2))), _state("r3"), SUITE)
    assert rebuilt.published
    assert spark.table(table).columns == ["k", "v"]
    assert _rows(spark.table(table)) == [("a", 2)]
    as_it_was = spark.sql(f"select * from {table} version as of {first.snapshot_id}")
    assert _rows(as_it_was) == [("a", 1, "x")], "there the column still is"
    assert read_state(iceberg_table(spark, table)) == _state("r3")

    spark.sql(f"alter table {table} add column left_by_a_run_that_died string")
    publish(_run(spark), table, Change(_frame(spark, ("b", 1)), _keys(spark, "b")), _state("r4"), SUITE)
    assert _rows(spark.table(table)) == [("a", 2, None), ("b", 1, None)]


def test_a_halting_expectation_keeps_main_and_the_branch(spark: SparkSession, table: str, run: Run) -> None:
    publish(run, table, Change(_frame(spark, ("a", 1))), _state("r1"), SUITE)
    before = current_snapshot(iceberg_table(spark, table))
    refused = publish(
        _run(spark),
        table,
        Change(_frame(spark, ("b", None), ("b", 9)), _keys(spark, "a")),
        _state("r2"),
        SUITE,
    )
    assert not refused.published
    assert refused.branch is not None
    assert {check.expectation.type: (check.success, check.unexpected) for check in refused.checks} == {
        HALT.type: (False, 1),
        WARN.type: (False, 1),
        UNIQUE.type: (False, 2),
    }
    assert current_snapshot(iceberg_table(spark, table)) == before
    assert _rows(spark.table(table)) == [("a", 1)]
    assert branch_rows(spark, table, refused.branch).count() == 2
    assert read_state(iceberg_table(spark, table)) == _state("r1")

    error = audit_failure([refused])
    assert error.failures == {
        "published": (
            "expect_column_values_to_not_be_null(v): 1 of 2 rows",
            "expect_column_values_to_be_unique(k): 2 of 2 rows",
        )
    }
    assert refused.branch in str(error)

    corrected = publish(
        _run(spark), table, Change(_frame(spark, ("b", 9)), _keys(spark, "a")), _state("r2"), SUITE
    )
    assert corrected.published
    assert [check.success for check in corrected.checks if check.expectation == WARN] == [False]
    assert _rows(spark.table(table)) == [("b", 9)]
    assert list(iceberg_table(spark, table).refs()) == ["main"]


def test_rows_that_stay_are_compared_only_with_what_another_writer_brought(
    spark: SparkSession, table: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Renewed | None] = []

    def watched(rows: DataFrame, suite: Suite, renewed: Renewed | None) -> Audit:
        seen.append(renewed)
        return audit(rows, suite, renewed)

    monkeypatch.setattr(publishing, "audit", watched)
    monkeypatch.setattr(publishing, "SMALL", 0)

    def published(*rows: tuple[str, int], keys: str, suite: Suite = SUITE) -> bool:
        change = Change(_frame(spark, *rows), _keys(spark, *keys))
        return publish(_run(spark), table, change, _state("r2"), suite).published

    publish(run, table, Change(_frame(spark, ("a", 1), ("b", 1), ("c", 1))), _state("r1"), SUITE)
    assert published(("b", 2), ("d", 1), keys="bd")
    advance(_run(spark), table, "published", _state("r3"))
    assert published(("d", 2), keys="d")
    assert [None if each is None else each.rows for each in seen] == [None, 2, 1]
    assert not published(("b", 3), ("b", 4), keys="b")  # alike among the new
    assert not published(("b", 3), ("a", 4), keys="b")  # alike with one that stayed: its key was not told
    seen.clear()
    other = Suite("published", (Expectation(UNIQUE.type, {"column": "v"}, "halt", "other"),), SUITE.file)
    assert not published(("b", 2), keys="b", suite=other)
    _frame(spark, ("a", 1)).writeTo(table).append()
    assert not published(("d", 5), keys="d")
    assert [each is not None and each.passed for each in seen] == [False, False]


_ROWS = st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(1, 2), max_size=2), max_size=3)


@settings(max_examples=examples(3), deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(_ROWS, min_size=2, max_size=4))
def test_a_small_table_written_whole_is_what_deletes_and_appends_make_of_it(
    spark: SparkSession, table: str, changes: list[dict[str, list[int]]]
) -> None:
    """Of each change the keys, and the rows that each of them is to have, none among them."""
    any_ = Suite("published", (HALT, WARN), SUITE.file)
    found = []
    for small in (0, 100):
        publish(_run(spark), table, Change(_frame(spark, (None, 7))), _state("r0"), any_)
        outcomes = []
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(publishing, "SMALL", small)
            for change in changes:
                rows = [(key, value) for key, values in change.items() for value in values]
                frame = spark.createDataFrame(rows, "k string, v int")
                outcomes.append(
                    publish(_run(spark), table, Change(frame, _keys(spark, *change)), _state("r1"), any_)
                )
        told = [(each.published, each.rows_before, each.added, each.removed) for each in outcomes]
        checks = [[(check.checked, check.unexpected) for check in each.checks] for each in outcomes]
        found.append((told, checks, _rows(spark.table(table))))
        if small:
            assert spark.table(f"{table}.delete_files").isEmpty()
    assert found[0] == found[1]


def test_all_rows_are_counted_and_only_the_renewed_compared(spark: SparkSession) -> None:
    rows = _frame(spark, ("a", 1), ("a", 9), ("b", None), ("c", 2))
    unique = ("column_values.unique.unexpected_count", ("k",))
    whole = count(rows, SUITE)
    assert unique not in whole  # which they are is for Great Expectations to say
    renewed = count(rows, SUITE, Renewed(_keys(spark, "b", "c", "x"), 2, passed=True))
    assert renewed == {**whole, unique: 0, RENEWED: 2}
    assert count(rows, SUITE, Renewed(_keys(spark, "b", "c"))) == {
        **whole,
        RENEWED: 2,
    }  # nothing passed before
    assert count(rows, SUITE, Renewed(_keys(spark, "a", "b"), 3, passed=True)) == {**whole, RENEWED: 3}
    assert (
        count(rows, SUITE, Renewed(_keys(spark, "b"), 2, passed=True)) == whole
    )  # not all rows have its keys


def test_a_first_publication_that_is_refused_leaves_an_empty_table(
    spark: SparkSession, table: str, run: Run
) -> None:
    refused = publish(run, table, Change(_frame(spark, (None, None))), _state("r1"), SUITE)
    assert not refused.published
    assert _rows(spark.table(table)) == []
    assert read_state(iceberg_table(spark, table)) == TableState()


def test_compaction_in_between_is_no_conflict(
    spark: SparkSession, table: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "SMALL", 0)  # else the table is one file
    for number in range(7):  # of fewer than five files none is rewritten
        rows = _frame(spark, (f"a{number}", 1))
        publish(_run(spark), table, Change(rows, _keys(spark, f"a{number}")), _state("r1"), SUITE)
    spark.sql(f"delete from {table} where k = 'a6'")
    audited = []

    def audit_beside_compaction(rows: DataFrame, suite: Suite, renewed: Renewed | None) -> Audit:
        audited.append(suite.table)
        if len(audited) == 1:
            done = maintain_table(spark, table, timedelta(days=1))
            assert done.rewritten_files > 1
        return audit(rows, suite, renewed)

    monkeypatch.setattr(publishing, "audit", audit_beside_compaction)
    change = Change(_frame(spark, ("a0", 2), ("new", 1)), _keys(spark, "a0", "new"))
    outcome = publish(_run(spark), table, change, _state("r2"), SUITE)
    assert (outcome.published, outcome.added, outcome.removed) == (True, 2, 1)
    assert len(audited) == 2
    assert _rows(spark.table(table)) == [
        ("a0", 2),
        *((f"a{number}", 1) for number in range(1, 6)),
        ("new", 1),
    ]
    assert read_state(iceberg_table(spark, table)) == _state("r2")


def test_delete_files_are_folded_once_enough_wait_and_what_main_shows_is_told(
    spark: SparkSession, table: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "SMALL", 0)  # else there are none
    names = "abcdefgh"
    publish(run, table, Change(_frame(spark, *((each, 1) for each in names))), _state("r0"), SUITE)
    for number, each in enumerate(names, 1):
        change = Change(_frame(spark, (each, 2)), _keys(spark, each))
        outcome = publish(_run(spark), table, change, _state(f"r{number}"), SUITE)
        assert (outcome.added, outcome.removed) == (1, 1)
        assert outcome.snapshot_id == current_snapshot(iceberg_table(spark, table))
        assert read_state(iceberg_table(spark, table)) == _state(f"r{number}")
    assert spark.table(f"{table}.delete_files").count() == 0
    assert _rows(spark.table(table)) == [(each, 2) for each in names]


def test_a_writer_in_between_is_a_conflict_and_loses_nothing(
    spark: SparkSession, table: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(run, table, Change(_frame(spark, ("a", 1))), _state("r1"), SUITE)

    def audit_beside_a_writer(rows: DataFrame, suite: Suite, renewed: Renewed | None) -> Audit:
        _frame(spark, ("other", 1)).writeTo(table).append()
        return Audit(())

    monkeypatch.setattr(publishing, "audit", audit_beside_a_writer)
    with pytest.raises(CommitConflict, match="changed by another writer"):
        publish(_run(spark), table, Change(_frame(spark, ("b", 1))), _state("r2"), SUITE)
    assert _rows(spark.table(table)) == [("a", 1), ("other", 1)]


def test_inputs_read_without_effect_are_recorded_without_a_row(
    spark: SparkSession, table: str, run: Run
) -> None:
    publish(run, table, Change(_frame(spark, ("a", 1))), _state("r1"), SUITE)
    advance(_run(spark), table, "published", _state("r2"))
    assert read_state(iceberg_table(spark, table)) == _state("r2")
    assert _rows(spark.table(table)) == [("a", 1)]


def test_results_are_counts_without_values(spark: SparkSession, run: Run) -> None:
    checks = audit(_frame(spark, ("secret", None), ("secret", 1)), SUITE).checks
    record_results(run, [Outcome("published", False, 5, checks, branch="b")])
    rows = spark.table(f"lake.{RESULT_TABLE.name}").where(f"run_id = '{run.run_id}'").collect()
    assert [(row.expectation, row.columns, row.success, row.checked, row.unexpected) for row in rows] == [
        (HALT.type, "v", False, 2, 1),
        (WARN.type, "v", True, 2, 0),
        (UNIQUE.type, "k", False, 2, 2),
    ]
    assert "secret" not in str(rows)


def test_an_expectation_that_cannot_be_evaluated_has_not_held(spark: SparkSession) -> None:
    odd = Expectation(
        "expect_column_mean_to_be_between", {"column": "k", "min_value": 1}, "halt", "texts have none"
    )
    (check,) = audit(_frame(spark, ("a", 1)), Suite("published", (odd,), Path("published.yaml"))).checks
    assert not check.success
    assert check.halts


@pytest.mark.parametrize(
    ("expectation", "problem"),
    [
        (Expectation("expect_column_values_to_not_be_null", {"column": "w"}, "halt", "r"), "no column 'w'"),
        (
            Expectation("expect_column_values_to_shine", {"column": "v"}, "halt", "r"),
            "expect_column_values_to_shine",
        ),
        (
            Expectation("expect_column_values_to_be_in_set", {"colum": "v"}, "halt", "r"),
            "expectations\\[0\\]",
        ),
    ],
)
def test_a_suite_is_checked_before_data_is_read(expectation: Expectation, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        check_suite(Suite("published", (expectation,), Path("published.yaml")), ["k", "v"])
