"""Tables of items of a given size, and what merging changes into them takes, on a local Spark."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from glue_jobs.conform.item_tables import ensure_item_tables
from glue_jobs.conform.items import conform_items
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import job_run
from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex, Landed
from schemas.item_type import ItemType, read_item_type

LANDING, LAKE = "watershed-landing-bench", "watershed-lake-bench"
_TYPE = """
name: BenchItem{rows}
table_name: bench-{rows}
description: Items to measure merges with.
keys: {{id: {{type: string, description: Key}}}}
attributes:
  score: {{type: "decimal(12,4)", description: Score}}
  note: {{type: string, description: Note}}
"""


def merge_seconds(sizes: Iterable[int], changes: int) -> dict[int, float]:
    """The duration of one run for each size of table: half of the changes hit existing items, all over the
    table. One session for all: its file system remembers where ``s3://`` lies."""
    with tempfile.TemporaryDirectory(prefix="watershed-merge-") as folder:
        spark = _spark(Path(folder))
        try:
            return {rows: _merge_seconds(spark, Path(folder), rows, changes) for rows in sizes}
        finally:
            spark.stop()


def _merge_seconds(spark: SparkSession, folder: Path, rows: int, changes: int) -> float:
    item_type = _declared(folder, rows)
    _fill(spark, item_type, rows)
    # One run to warm the JVM up, as Glue's startup is not what is measured.
    _run(spark, folder, item_type, rows, 100, first=0)
    return _run(spark, folder, item_type, rows, changes, first=100)


def _spark(folder: Path) -> SparkSession:
    from local.spark import spark_settings, start_spark

    settings = spark_settings(folder / "mirror", [LANDING, LAKE], f"s3://{LAKE}/warehouse")
    return start_spark(settings, name="benchmark")


def _declared(folder: Path, rows: int) -> ItemType:
    file = folder / f"BenchItem{rows}.yaml"
    file.write_text(_TYPE.format(rows=rows))
    return read_item_type(file)


def _fill(spark: SparkSession, item_type: ItemType, rows: int) -> None:
    """Both tables with ``rows`` items, each inserted once, written as the job would have them."""
    tables = ensure_item_tables(spark, "lake", item_type)
    at = "timestamp '2026-01-01 00:00:00'"
    item = (
        "format_string('item-%010d', id) as id, cast(id % 100 as decimal(12,4)) as score,"
        " repeat('x', 80) as note, cast(null as string) as _extra,"
        f" cast(id + 1 as string) as _sequence_number, {at} as _changed_at,"
        " format_string('%032x', id) as _event_id, '20260101T000000000Z-00000000' as _run_id"
    )
    version = (
        f"{at} as _valid_from, cast(null as timestamp) as _valid_to, true as _is_current,"
        " 'INSERT' as _event_name, false as _expired"
    )
    for table, columns in ((tables.current, item), (tables.history, f"{item}, {version}")):
        names = spark.table(table).columns
        spark.sql(f"select {columns} from range({rows})").select(*names).writeTo(table).append()


def _run(
    spark: SparkSession, folder: Path, item_type: ItemType, rows: int, changes: int, *, first: int
) -> float:
    records = [_record(item_type, rows, first + number) for number in range(changes)]
    landed = Landed(datetime(2026, 11, 25, tzinfo=UTC), "benchmark:1")
    for each in plan_batch(records, ItemTypeIndex([item_type]), landed).objects:
        path = folder / "mirror" / LANDING / each.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.body())
    start = time.perf_counter()
    with job_run(spark, JobArguments(f"s3://{LANDING}/"), "conform_items") as run:
        conform_items(run, [item_type])
    seconds = time.perf_counter() - start
    if run.written[f"watershed_conformed.{item_type.sql_name}"] != changes:
        raise RuntimeError(f"not all changes were merged: {json.dumps(run.written)}")
    return seconds


def _record(item_type: ItemType, rows: int, number: int) -> dict[str, object]:
    old = number % 2 == 0
    place = (number * 7919) % rows if old else rows + number
    keys = {"id": {"S": f"item-{place:010d}"}}
    new = {**keys, "score": {"N": f"{number}.25"}, "note": {"S": "changed"}}
    return {
        "eventID": f"{10**12 + number:032x}",
        "eventName": "MODIFY" if old else "INSERT",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{item_type.table_name}/stream/1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_600_000 + number // 100,
            "Keys": keys,
            "NewImage": new,
            **({"OldImage": {**keys, "score": {"N": "1"}}} if old else {}),
            "SequenceNumber": str(10**20 + number),
        },
    }
