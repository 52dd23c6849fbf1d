"""The lake's building blocks on a real Spark with Iceberg: tables, merges, ledger, quarantine, runs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType, _parse_datatype_string

from glue_jobs.lake import ledger, listing
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.errors import ArgumentError, TableError
from glue_jobs.lake.merge import MergePolicy, merge_newest
from glue_jobs.lake.quarantine import QUARANTINE_TABLE, quarantine
from glue_jobs.lake.run import RUN_TABLE, Run, job_run, new_run_id
from glue_jobs.lake.session import (
    FEW_ROWS,
    FEW_TASKS,
    SETTINGS,
    in_few_tasks,
    interpreted,
    spark_session,
    with_settings,
)
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    current_snapshot,
    ensure_table,
    few_rows,
    iceberg_table,
    snapshot_properties,
)
from tests.conftest import LAKE_BUCKET, LANDING_BUCKET

pytestmark = pytest.mark.spark

SPEC = TableSpec(
    "watershed_test.thing",
    (
        Column("id", "string", "The key"),
        Column("version", "int"),
        Column("gone", "boolean"),
        Column("v", "string"),
    ),
    "Things.",
)
POLICY = MergePolicy(("id",), ("version",), delete_when="gone")


def test_rows_at_hand_reach_spark_as_they_are(spark: SparkSession) -> None:
    schema = _parse_datatype_string(
        "text string, whole bigint, exact decimal(38,9), real double, flag boolean, day date, at timestamp, "
        "texts array<string>"
    )
    assert isinstance(schema, StructType)
    at = datetime(1899, 12, 31, 23, 59, 59, 999_999, UTC)
    exact = Decimal("12345678901234567890123456789.123456789")
    rows = [
        ('a "b" \\ \u2028 ü 𝒳', -(2**63), exact, 0.1, True, date(1582, 10, 15), at, ["x", ""]),
        (None,) * 8,
    ]
    found = few_rows(spark, rows, schema)
    assert found.schema == schema
    assert [tuple(row) for row in found.withColumn("at", F.unix_micros("at")).collect()] == [
        (*rows[0][:6], round(at.timestamp() * 1_000_000), rows[0][7]),
        rows[1],
    ]
    with pytest.raises((PySparkException, Py4JJavaError)):
        few_rows(spark, [("a", "no number", None, None, None, None, None, None)], schema).collect()


@pytest.fixture
def table(spark: SparkSession) -> Iterator[str]:
    yield ensure_table(spark, "lake", SPEC)
    spark.sql(f"drop table lake.{SPEC.name} purge")


@pytest.fixture
def arguments(landing_uri: str) -> JobArguments:
    return JobArguments(landing_uri)


def _rows(spark: SparkSession, table: str) -> list[tuple[object, ...]]:
    return sorted(map(tuple, spark.table(table).collect()))


def test_the_session_of_the_tests_is_one_that_jobs_accept(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.maxPlanStringLength", str(2**30))
    assert {name: spark_session().conf.get(name) for name in SETTINGS} == SETTINGS


def test_expressions_over_few_rows_are_evaluated_without_classes_made_for_them(spark: SparkSession) -> None:
    def compiled_and_rows() -> tuple[bool, list[tuple[object, ...]]]:
        frame = spark.range(100).where("id % 7 = 3").selectExpr("upper(hex(id)) as h", "id % 3 as third")
        rows = frame.groupBy("third").agg(F.max("h"), F.count("*"))
        plan = rows._jdf.queryExecution().executedPlan()  # type: ignore[attr-defined, unused-ignore]
        return "*(" in plan.toString(), sorted(map(tuple, rows.collect()))

    before = compiled_and_rows()
    with interpreted(spark, FEW_ROWS):
        few = compiled_and_rows()
    with interpreted(spark, FEW_ROWS + 1):
        many = compiled_and_rows()
    with interpreted(spark, 0, FEW_ROWS // 2):
        made = compiled_and_rows()
    assert [compiled for compiled, _ in (before, few, many, made)] == [True, False, True, True]
    assert before[1] == few[1] == many[1] == made[1]
    with pytest.raises(ZeroDivisionError), interpreted(spark, 0):
        raise ZeroDivisionError
    assert compiled_and_rows() == before


@pytest.fixture
def as_on_glue(spark: SparkSession) -> Iterator[SparkSession]:
    """Spark's own defaults, where the tests' session is set up for little data."""
    settings = {"spark.sql.adaptive.enabled": "true", "spark.sql.shuffle.partitions": "200"}
    with with_settings(spark, settings):
        yield spark


@pytest.mark.parametrize("within", [in_few_tasks, interpreted])
def test_few_rows_are_shuffled_into_few_tasks_and_planned_once(
    as_on_glue: SparkSession, within: Callable[..., AbstractContextManager[None]]
) -> None:
    def planned() -> tuple[bool, int]:
        frame = as_on_glue.range(100).groupBy(F.expr("id % 7")).count()
        plan = frame._jdf.queryExecution().executedPlan()  # type: ignore[attr-defined, unused-ignore]
        return "AdaptiveSparkPlan" in plan.toString(), frame.rdd.getNumPartitions()

    with within(as_on_glue, FEW_ROWS):
        assert planned() == (False, FEW_TASKS)
    with within(as_on_glue, FEW_ROWS + 1):
        adaptive, _ = planned()
        assert adaptive
    as_on_glue.conf.set("spark.sql.shuffle.partitions", "2")
    with within(as_on_glue, 0):
        assert planned() == (False, 2), "no more tasks than without"
    assert as_on_glue.conf.get("spark.sql.shuffle.partitions") == "2"
    assert as_on_glue.conf.get("spark.sql.adaptive.enabled") == "true"


def test_a_file_is_written_alone(spark: SparkSession, mirror: Path) -> None:
    """Checksums beside files would double what a run has to make."""
    spark.range(1).write.mode("overwrite").parquet(f"s3://{LAKE_BUCKET}/alone")
    assert [each.name for each in mirror.rglob("*.crc")] == []


def test_a_table_is_made_once_and_widened_when_its_declaration_grows(spark: SparkSession, table: str) -> None:
    before = iceberg_table(spark, table).currentSnapshot()
    assert ensure_table(spark, "lake", SPEC) == table
    wider = TableSpec(
        SPEC.name,
        (Column("id", "string", "The key"), Column("version", "bigint"), Column("n", "date", "New")),
    )
    ensure_table(spark, "lake", wider)
    fields = {each.name: each for each in spark.table(table).schema.fields}
    assert fields["version"].dataType.simpleString() == "bigint"
    assert fields["n"].metadata["comment"] == "New"
    assert "v" in fields
    assert iceberg_table(spark, table).currentSnapshot() == before
    with pytest.raises(TableError, match=r"watershed_test\.thing\.v is string and is declared int"):
        ensure_table(spark, "lake", TableSpec(SPEC.name, (Column("v", "int"),)))


def test_the_newest_wins_in_any_order_and_a_merge_without_news_commits_nothing(
    spark: SparkSession, table: str
) -> None:
    def merge(*rows: tuple[object, ...]) -> int | None:
        return merge_newest(
            spark, spark.createDataFrame(list(rows), spark.table(table).schema), table, POLICY
        ).snapshot_id

    assert merge(("a", 1, True, None)) is None
    assert (
        merge(("a", 2, False, "a2"), ("a", 1, False, "a1"), ("b", 1, False, "b1"), ("z", 1, True, None))
        is not None
    )
    assert _rows(spark, table) == [("a", 2, False, "a2"), ("b", 1, False, "b1")]
    assert merge(("a", 1, False, "late"), ("b", 1, False, "same")) is None
    assert merge(("b", 3, True, None), ("b", 2, False, "b2"), ("c", 1, False, "c1")) is not None
    assert _rows(spark, table) == [("a", 2, False, "a2"), ("c", 1, False, "c1")]


def test_the_ledger_gives_an_object_once_per_job_and_again_when_it_is_replaced(
    spark: SparkSession, mirror: Path, arguments: JobArguments
) -> None:
    folder = mirror / LANDING_BUCKET / "ledgertest" / "t=a%3Ab"
    folder.mkdir(parents=True)
    (folder / "1.ndjson").write_text('{"n": 1}\n')
    (folder / "2.ndjson").write_text('{"n": 2}\n')
    (folder / "_skipped.ndjson").write_text("{}\n")
    (folder / "3.txt").write_text("")
    run = Run(spark, "ledger_test", new_run_id(), arguments, datetime.now(UTC))
    assert ledger.new_objects(run, "nowhere/") == []
    first = ledger.new_objects(run, "ledgertest/")
    assert [each.key for each in first] == ["ledgertest/t=a%3Ab/1.ndjson", "ledgertest/t=a%3Ab/2.ndjson"]
    lines = spark.read.text(ledger.uris(first, arguments.landing_uri))
    keys = lines.select(ledger.object_key(arguments.landing_uri).alias("key"))
    assert sorted(row.key for row in keys.collect()) == [each.key for each in first]
    ledger.record(run, first)
    assert ledger.new_objects(run, "ledgertest/") == []
    (folder / "2.ndjson").write_text('{"n": 22}\n')
    assert [each.key for each in ledger.new_objects(run, "ledgertest/")] == [first[1].key]
    other = Run(spark, "ledger_other", new_run_id(), arguments, datetime.now(UTC))
    assert len(ledger.new_objects(other, "ledgertest/")) == 2


def test_a_flat_listing_finds_what_a_walk_through_the_folders_finds(
    spark: SparkSession, mirror: Path, arguments: JobArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "a=%3A 1/b/1.ndjson",
        "a=%3A 1/2.txt",
        "3.ndjson",
        "_x/4.ndjson",
        "c/.y/5.ndjson",
        "c/_6.ndjson",
    ):
        path = mirror / LANDING_BUCKET / "flat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    walked = listing.list_objects(spark, arguments.landing_uri, "flat/")
    assert [each.key for each in walked] == ["flat/3.ndjson", "flat/a=%3A 1/2.txt", "flat/a=%3A 1/b/1.ndjson"]
    monkeypatch.setattr(listing, "_walked", listing._listed_flat)
    assert listing.list_objects(spark, arguments.landing_uri, "flat/") == walked


def test_quarantine_keeps_the_line_in_landing_and_its_place_in_ops_once(
    spark: SparkSession, mirror: Path, arguments: JobArguments
) -> None:
    lines = spark.createDataFrame(
        [
            ("items/x.gz", 7, '{"broken é', "not_json", None, None),
            ("items/x.gz", 9, "{}", "wrong_type", "ab", "n"),
        ],
        "object_key string, line bigint, text string, reason string, key_hash string, detail string",
    )
    for _ in range(2):
        run = Run(spark, "q", new_run_id(), arguments, datetime.now(UTC))
        assert quarantine(run, "testing", lines) == {"not_json": 1, "wrong_type": 1}
        assert run.quarantined == {"not_json": 1, "wrong_type": 1}
    held = sorted((mirror / LANDING_BUCKET / "quarantine" / "source=testing").rglob("*.ndjson.gz"))
    assert [gzip.decompress(each.read_bytes()).decode() for each in held] == ['{"broken é\n', "{}\n"]
    rows = spark.table(f"lake.{QUARANTINE_TABLE.name}").where("source = 'testing'").orderBy("line").collect()
    assert [(row.object_key, row.line, row.reason, row.key_hash, row.detail) for row in rows] == [
        ("items/x.gz", 7, "not_json", None, None),
        ("items/x.gz", 9, "wrong_type", "ab", "n"),
    ]
    assert quarantine(run, "testing", lines.limit(0)) == {}


def test_a_run_is_recorded_whether_it_succeeds_or_fails(spark: SparkSession, arguments: JobArguments) -> None:
    with job_run(spark, arguments, "run_test") as good:
        good.read("objects", 3)
        good.wrote("t", 5)
    with pytest.raises(ValueError, match="secret"), job_run(spark, arguments, "run_test") as bad:
        raise ValueError("secret")
    reused = JobArguments(arguments.landing_uri, run_id=good.run_id)
    with job_run(spark, reused, "run_test") as later:
        pass
    assert good.run_id < bad.run_id < later.run_id
    rows = spark.table(f"lake.{RUN_TABLE.name}").where("job = 'run_test'").orderBy("run_id").collect()
    assert [row.status for row in rows] == ["succeeded", "failed", "succeeded"]
    assert (json.loads(rows[0].inputs), rows[0].rows_written) == ({"objects": 3}, 5)
    assert "secret" not in rows[1].detail
    assert json.loads(rows[1].detail)["error"] == "ValueError"
    assert abs(rows[0].started_at.astimezone(UTC) - good.started_at).total_seconds() < 0.001
    assert (
        snapshot_properties(iceberg_table(spark, f"lake.{RUN_TABLE.name}"))["watershed.run_id"]
        == later.run_id
    )


def test_run_ids_never_go_back_even_if_the_clock_does() -> None:
    ahead = "20991231T235959999Z-ffffffff"
    assert new_run_id(ahead) > ahead
    assert new_run_id(ahead).startswith("21000101T000000000Z-")
    assert new_run_id() > "2025"


def test_the_snapshot_of_an_empty_table_is_none(spark: SparkSession, table: str) -> None:
    assert current_snapshot(iceberg_table(spark, table)) is None


def test_arguments_are_parsed_and_those_of_glue_are_ignored(landing_uri: str) -> None:
    given = [
        "--JOB_NAME",
        "curate",
        "--enable-metrics",
        "--landing_uri",
        landing_uri.rstrip("/"),
        "--full",
        "true",
    ]
    assert JobArguments.parse(given) == JobArguments(landing_uri, full=True)
    assert (
        JobArguments.parse([f"--landing_uri={landing_uri}", "--export_id", "e1", "--run_id", ""]).export_id
        == "e1"
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ([], "landing_uri"),
        (["--landing_uri", "bucket"], "landing_uri"),
        (["--landing_uri", "s3://b/", "--full", "yes"], "full"),
        (["--landing_uri", "s3://b/", "--run_id", "1"], "run_id"),
        (["--landing_uri", "s3://b/", "--catalog", "a b"], "catalog"),
        (["--landing_uri", "s3://b/", "--recent_days", "0"], "recent_days"),
        (["--landing_uri", "s3://b/", "--recent_days", "366"], "recent_days"),
    ],
)
def test_a_wrong_argument_is_named(given: list[str], name: str) -> None:
    with pytest.raises(ArgumentError, match=f"--{name} is"):
        JobArguments.parse(given)
