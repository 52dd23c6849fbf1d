"""Jobs on the real Spark worker, around the emulator's S3 and catalog, and queries on what they made."""

from __future__ import annotations

import os
import signal
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from itertools import count
from pathlib import Path

import pytest

from local.glue.service import GlueHost
from local.glue.spark_jobs import JobEnd
from local.query import QueryResult, UnknownColumn, UnknownSnapshot, UnknownTable, run_query
from tests.conftest import PATIENCE
from tests.e2e.glue.conftest import ARGUMENTS, LAKE, LANDING, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.spark]

PROBE = '''
"""A job as those of the product are: arguments by name, the session from outside, merges on Iceberg."""
import sys, time
from pyspark.sql import SparkSession

class Refused(Exception):
    """One of our own errors."""

def main(argv):
    given = dict(zip(argv[::2], argv[1::2]))
    spark = SparkSession.builder.getOrCreate()
    print("arguments", given)
    globals()[given["--do"]](spark, given)

def create(spark, given):
    spark.sql("create namespace if not exists lake.watershed_curated")
    spark.sql("""create table lake.watershed_curated.reading (
        id string not null, site string, taken_at timestamp, day date, value decimal(38,9),
        tags array<string>, place struct<room: string, floor: int>) using iceberg partitioned by (site)
        tblproperties ('format-version'='2', 'write.merge.mode'='merge-on-read',
                       'write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read')""")
    spark.sql("""insert into lake.watershed_curated.reading
        select cast(id as string), if(id % 2 = 0, 'even', 'odd'),
               timestamp'2025-01-31 23:30:00' + make_interval(0, 0, 0, 0, id),
               date'2025-01-31' + cast(id as int), cast(id as decimal(38,9)) / 4,
               array('a', cast(id as string)), named_struct('room', 'r1', 'floor', cast(id as int))
        from range(10)""")

def merge(spark, given):
    spark.sql("""create or replace temporary view changes as
        select '3' id, 99.5 value union all select 'new', 1.25""")
    spark.sql("""merge into lake.watershed_curated.reading t using changes c on t.id = c.id
        when matched then update set value = c.value
        when not matched then insert (id, value) values (c.id, c.value)""")
    spark.sql("delete from lake.watershed_curated.reading where id = '4'")

def branch(spark, given):
    spark.sql("alter table lake.watershed_curated.reading create branch audit_1")
    spark.sql("delete from lake.watershed_curated.reading.branch_audit_1 where true")
    raise Refused("reading: 1 of 3 checks failed, so it was not published")

def sees(spark, given):
    left = [each.name for each in spark.catalog.listTables() if each.isTemporary]
    lines = spark.read.text(given["--landing_uri"] + "items/").count()
    case = spark.conf.get("spark.sql.caseSensitive")
    print(f"left over: {left}; lines: {lines}; case sensitive: {case}")
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")

def zone(spark, given):
    print("zone", spark.conf.get("spark.sql.session.timeZone"))

def quarantine(spark, given):
    frame = spark.createDataFrame([("broken",)], "value string")
    frame.coalesce(1).write.mode("append").text(given["--landing_uri"] + "quarantine/source=items/")
    frame.coalesce(1).write.mode("append").text(given["--landing_uri"] + "items/stray/")

def drop(spark, given):
    spark.sql("create table lake.watershed_curated.passing (id string) using iceberg")
    spark.sql("drop table lake.watershed_curated.passing purge")

def leak(spark, given):
    raise ValueError("Jane Doe")

def hang(spark, given):
    time.sleep(600)

def leave(spark, given):
    sys.exit(3)

def stop_spark(spark, given):
    spark.stop()
'''


_NUMBERS = count(1)
"""Of the runs of all hosts: their logs lie in one folder."""


class Jobs:
    """The host with the probe job, as the emulator's patches use it."""

    def __init__(self, stack: Stack, code: Path, idle_seconds: float = 900) -> None:
        self.code = code
        self.host = GlueHost(stack.endpoint, stack.state / "host", idle_seconds, code)
        self.logs = stack.state / "host" / "logs" / "watershed-probe"
        self.last = ""

    def begin(self, do: str, **job: float) -> tuple[str, list[JobEnd], threading.Event]:
        run_id, ends, ended = f"jr_{next(_NUMBERS)}", list[JobEnd](), threading.Event()
        self.last = run_id

        def on_end(end: JobEnd) -> None:
            ends.append(end)
            ended.set()

        definition = {
            "Name": "watershed-probe",
            "Command": {"ScriptLocation": "s3://assets/probe.py"},
            "DefaultArguments": ARGUMENTS,
            **job,
        }
        self.host.start_job_run(definition, run_id, {"--do": do}, lambda: None, on_end)
        return run_id, ends, ended

    def run(self, do: str, **job: float) -> JobEnd:
        _, ends, ended = self.begin(do, **job)
        assert ended.wait(PATIENCE), f"{do} did not end"
        time.sleep(0.05)
        assert len(ends) == 1
        return ends[0]

    def await_output(self, run_id: str) -> None:
        """Return once the job itself is at work."""
        log, deadline = self.logs / f"{run_id}.log", time.monotonic() + PATIENCE
        while not (log.exists() and "arguments" in log.read_text()):
            assert time.monotonic() < deadline, "the job did not begin"
            time.sleep(0.1)

    def log(self) -> str:
        return (self.logs / f"{self.last}.log").read_text()


@pytest.fixture(scope="module")
def jobs(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    code = tmp_path_factory.mktemp("code")
    (code / "glue_jobs").mkdir()
    (code / "glue_jobs" / "__init__.py").touch()
    # The class of the error must be one of ours by its module, as it is here.
    (code / "glue_jobs" / "probe.py").write_text(textwrap.dedent(PROBE))
    stack.land("items/table_name=a%2Fb/x.ndjson", b"{}\n{}\n")
    running = Jobs(stack, code)
    assert running.run("create") == JobEnd("SUCCEEDED")
    yield running
    running.host.close()


def ask(stack: Stack, sql: str) -> QueryResult:
    return run_query(sql, stack.endpoint)


def keys(stack: Stack, bucket: str, prefix: str = "") -> set[str]:
    pages = stack.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {each["Key"] for page in pages for each in page.get("Contents", [])}


def test_a_merge_is_published_and_its_deletes_are_honoured(stack: Stack, jobs: Jobs) -> None:
    before = ask(stack, "select count(*) from curated.reading").rows
    (old,) = ask(
        stack, 'select snapshot_id from curated."reading$snapshots" order by committed_at limit 1'
    ).rows
    if before == ((10,),):
        assert jobs.run("merge") == JobEnd("SUCCEEDED")
    deletes = [key for key in keys(stack, LAKE) if key.endswith("-deletes.parquet")]
    assert deletes, "the merge was to leave delete files"
    rows = ask(stack, "select id, value from curated.reading where id in ('3', '4', 'new') order by id").rows
    assert [(each[0], str(each[1])) for each in rows] == [("3", "99.500000000"), ("new", "1.250000000")]
    assert ask(stack, "select count(*) from reading").rows == ((10,),)
    then = ask(stack, f"select count(*), max(value) from curated.reading for version as of {old[0]}").rows
    assert [str(each) for each in then[0]] == ["10", "2.250000000"]
    assert ask(stack, "select count(*) from reading for timestamp as of current_timestamp").rows == ((10,),)
    (first,) = ask(
        stack, 'select committed_at from curated."reading$snapshots" order by committed_at limit 1'
    ).rows
    sql = "select count(*), max(value), avg(value) from curated.reading"
    at = first[0].replace(tzinfo=UTC)
    earlier = run_query(sql, stack.endpoint, as_of=at)
    assert [str(each) for each in earlier.rows[0][:2]] == ["10", "2.250000000"]
    assert earlier.types == ask(stack, sql).types
    with pytest.raises(UnknownSnapshot, match="its first"):
        run_query(sql, stack.endpoint, as_of=at - timedelta(seconds=1))


def test_athena_types_dates_and_joins(stack: Stack, jobs: Jobs) -> None:
    result = ask(
        stack,
        """
        with counted as (
            select site, count(*) as readings from curated.reading where site is not null group by site)
        select r.id, r.place.floor, tags[1], r.day + interval '1' day as next,
               date_diff('hour', r.taken_at, timestamp '2025-02-01 03:00:00') as hours,
               avg(r.value) over (partition by r.site) as mean, readings
        from watershed_curated.reading r join counted using (site)
        where r.taken_at >= timestamp '2025-02-01 00:00:00'
          and r.day between date '2025-02-01' and date '2025-02-02'
        order by 1
        """,
    )
    # The first reading of the window: 23:30 and one hour.
    assert result.types[3:] == ("date", "bigint", "decimal(38,9)", "bigint")
    assert [(row[0], row[1], row[2], str(row[3]), row[4]) for row in result.rows] == [
        ("1", 1, "a", "2025-02-02", 2),
        ("2", 2, "a", "2025-02-03", 1),
    ]


def test_the_catalog_describes_the_table(stack: Stack, jobs: Jobs) -> None:
    assert ("reading",) in ask(stack, "SHOW TABLES IN curated").rows
    described = {row[0]: row[1] for row in ask(stack, "DESCRIBE curated.reading").rows}
    assert described["value"] == "decimal(38,9)"
    assert described["place"] == "struct<room:string,floor:int>"


@pytest.mark.parametrize(
    ("sql", "error", "says"),
    [
        ("select * from curated.readings", UnknownTable, "Did you mean curated.reading"),
        ("select vlaue from curated.reading", UnknownColumn, "Did you mean value"),
        ("select * from reading for version as of 1", UnknownSnapshot, "no version 1"),
        (
            "select * from reading for timestamp as of timestamp '2020-01-01 00:00:00'",
            UnknownSnapshot,
            "its first",
        ),
    ],
)
def test_a_query_on_what_is_not_there_says_what_is(
    stack: Stack, jobs: Jobs, sql: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        ask(stack, sql)


def test_a_failed_audit_leaves_its_branch_and_not_the_table(stack: Stack, jobs: Jobs) -> None:
    before = ask(stack, "select count(*) from reading").rows
    end = jobs.run("branch")
    assert end == JobEnd("FAILED", "Refused: reading: 1 of 3 checks failed, so it was not published")
    assert ask(stack, "select count(*) from reading").rows == before
    assert ask(stack, "select count(*) from reading for version as of 'audit_1'").rows == ((0,),)


def test_an_error_that_may_quote_a_patient_is_only_in_the_log(jobs: Jobs) -> None:
    end = jobs.run("leak")
    assert end.state == "FAILED"
    assert "ValueError in probe.py, line" in end.error_message
    assert "Jane" not in end.error_message
    assert "Jane Doe" in jobs.log()


def test_a_job_that_exits_with_a_code_failed(jobs: Jobs) -> None:
    assert jobs.run("leave") == JobEnd("FAILED", "The job exited with 3")


def test_no_run_leaves_anything_to_the_next(stack: Stack, jobs: Jobs) -> None:
    stack.land("items/table_name=a%2Fb/y.ndjson", b"{}\n")
    assert jobs.run("sees").state == "SUCCEEDED"
    assert "left over: []; lines: 3; case sensitive: true" in jobs.log()
    stack.s3.delete_object(Bucket=LANDING, Key="items/table_name=a%2Fb/y.ndjson")
    assert jobs.run("sees").state == "SUCCEEDED"
    assert "lines: 2" in jobs.log()
    jobs.run("zone")
    assert "zone UTC" in jobs.log()


def test_jobs_write_to_landing_only_quarantine(stack: Stack, jobs: Jobs) -> None:
    assert jobs.run("quarantine").state == "SUCCEEDED"
    assert [key for key in keys(stack, LANDING, "quarantine/source=items/") if key.endswith(".txt")]
    assert keys(stack, LANDING, "items/stray/") == set()


def test_a_dropped_table_leaves_the_catalog_and_s3(stack: Stack, jobs: Jobs) -> None:
    assert jobs.run("drop").state == "SUCCEEDED"
    assert keys(stack, LAKE, "warehouse/watershed_curated/passing/") == set()
    assert ("passing",) not in ask(stack, "show tables").rows


def test_a_killed_worker_fails_its_run_and_the_next_starts_another(stack: Stack, jobs: Jobs) -> None:
    run_id, ends, ended = jobs.begin("hang")
    jobs.await_output(run_id)
    killed = jobs.host.worker_pid()
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert ended.wait(PATIENCE)
    assert ends[0].state == "FAILED"
    assert "ended (signal SIGKILL)" in ends[0].error_message
    assert jobs.run("zone").state == "SUCCEEDED"
    assert jobs.host.worker_pid() not in (None, killed)


def test_a_run_can_be_stopped_and_times_out(jobs: Jobs) -> None:
    run_id, ends, ended = jobs.begin("hang")
    queued_id, queued_ends, queued_ended = jobs.begin("zone")
    jobs.await_output(run_id)
    assert jobs.host.stop_job_run(queued_id)
    assert jobs.host.stop_job_run(run_id)
    assert ended.wait(PATIENCE)
    assert queued_ended.wait(PATIENCE)
    assert [ends[0].state, queued_ends[0].state] == ["STOPPED", "STOPPED"]
    assert not jobs.host.stop_job_run(run_id)
    end = jobs.run("hang", Timeout=0.05)
    assert end == JobEnd("TIMEOUT", "Timed out after 0.05 minutes")


def test_a_job_that_stops_spark_does_not_stop_the_next(jobs: Jobs) -> None:
    assert jobs.run("stop_spark").state == "SUCCEEDED"
    assert jobs.run("zone").state == "SUCCEEDED"


def test_an_idle_worker_is_ended_and_its_host_serves_on_and_closes_without_a_trace(
    stack: Stack, jobs: Jobs
) -> None:
    idle = Jobs(stack, jobs.code, idle_seconds=1)
    try:
        assert idle.run("zone").state == "SUCCEEDED"
        deadline = time.monotonic() + PATIENCE
        while idle.host.worker_pid() is not None:
            assert time.monotonic() < deadline, "the idle worker was not ended"
            time.sleep(0.1)
        run_id, _, ended = idle.begin("hang")
        idle.await_output(run_id)
        pid = idle.host.worker_pid()
        assert pid is not None
        java = _children(pid)
        assert java
    finally:
        idle.host.close()
    assert ended.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{each}/cmdline").exists() for each in (pid, *java)):
        assert time.monotonic() < deadline, "the worker or its Java outlived the host"
        time.sleep(0.1)


def _children(pid: int) -> list[int]:
    return [
        int(each)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for each in (thread / "children").read_text().split()
    ]


def test_a_job_that_leaves_with_a_number_has_failed(jobs: Jobs) -> None:
    assert jobs.run("leave").state == "FAILED"
