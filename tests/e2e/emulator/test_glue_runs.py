"""The Glue API's reference on job runs, crawlers and workflow runs: their states, their limits, their errors.

What runs is real and small: a job whose definition is wrong, a job on an empty landing zone, a crawl of one
table. That jobs and crawls do the right thing is tested where they are made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.functions import ANY_ROLE

pytestmark = pytest.mark.e2e

LANDING, LAKE, DATABASE = "runs-landing", "runs-lake", "runs"
_CONF = (
    "spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog"
    f" --conf spark.sql.catalog.lake.warehouse=s3://{LAKE}/warehouse"
)


@pytest.fixture(scope="module")
def glue(emulator: Emulator) -> Any:
    client, s3 = emulator.client("glue"), emulator.client("s3")
    for bucket in (LANDING, LAKE):
        s3.create_bucket(Bucket=bucket)
    client.create_database(DatabaseInput={"Name": DATABASE})
    client.create_table(
        DatabaseName=DATABASE,
        TableInput={
            "Name": "lines",
            "PartitionKeys": [{"Name": "day", "Type": "string"}],
            "StorageDescriptor": {
                "Location": f"s3://{LANDING}/lines/",
                "Columns": [{"Name": "line", "Type": "string"}],
                "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
            },
        },
    )
    # Enough folders for a crawl to last longer than the next request.
    for day in range(200):
        s3.put_object(Bucket=LANDING, Key=f"lines/day=d{day:03}/a.ndjson", Body=b"{}\n")
    client.create_crawler(
        Name="lines",
        Role=ANY_ROLE,
        DatabaseName=DATABASE,
        Targets={"CatalogTargets": [{"DatabaseName": DATABASE, "Tables": ["lines"]}]},
    )
    client.create_job(
        Name="watershed-conform-items",
        Role=ANY_ROLE,
        Command={"Name": "glueetl", "ScriptLocation": "s3://scripts/conform_items.py"},
        DefaultArguments={"--landing_uri": f"s3://{LANDING}/", "--catalog": "lake", "--conf": _CONF},
        GlueVersion="5.1",
    )
    client.create_job(
        Name="no-landing",
        Role=ANY_ROLE,
        Command={"Name": "glueetl", "ScriptLocation": "s3://scripts/conform_items.py"},
        DefaultArguments={"--conf": _CONF},
        GlueVersion="5.1",
    )
    return client


def _run(glue: Any, job: str, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]
    return run


def _workflow(glue: Any, name: str, **properties: Any) -> None:
    glue.create_workflow(Name=name, **properties)
    glue.create_trigger(
        Name=f"{name}-start", WorkflowName=name, Type="ON_DEMAND", Actions=[{"CrawlerName": "lines"}]
    )


def test_a_job_that_cannot_run_has_failed_and_says_why(glue: Any) -> None:
    run_id = glue.start_job_run(JobName="no-landing", Arguments={"--run_id": "7"})["JobRunId"]
    assert run_id.startswith("jr_")
    until(lambda: _run(glue, "no-landing", run_id)["JobRunState"] == "FAILED")
    run = _run(glue, "no-landing", run_id)
    assert "--landing_uri" in run["ErrorMessage"]
    assert run["CompletedOn"] >= run["StartedOn"]
    assert run["Arguments"] == {"--run_id": "7"}
    again = glue.start_job_run(JobName="no-landing")["JobRunId"]
    assert [each["Id"] for each in glue.get_job_runs(JobName="no-landing")["JobRuns"]] == [again, run_id]


def test_one_run_of_a_job_at_a_time_and_a_stop_ends_it(glue: Any) -> None:
    job = "watershed-conform-items"
    run_id = glue.start_job_run(JobName=job)["JobRunId"]
    assert _run(glue, job, run_id)["JobRunState"] in ("STARTING", "RUNNING")
    with pytest.raises(glue.exceptions.ConcurrentRunsExceededException):
        glue.start_job_run(JobName=job)
    stopped = glue.batch_stop_job_run(JobName=job, JobRunIds=[run_id, "jr_nobody"])
    assert [each["JobRunId"] for each in stopped["SuccessfulSubmissions"]] == [run_id]
    assert [each["ErrorDetail"]["ErrorCode"] for each in stopped["Errors"]] == ["EntityNotFoundException"]
    assert _run(glue, job, run_id)["JobRunState"] in ("STOPPING", "STOPPED")
    until(lambda: _run(glue, job, run_id)["JobRunState"] == "STOPPED")
    # What has ended makes room, and cannot be stopped again.
    assert glue.batch_stop_job_run(JobName=job, JobRunIds=[run_id])["SuccessfulSubmissions"] == []


def test_a_job_that_does_not_exist_cannot_be_started(glue: Any) -> None:
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.start_job_run(JobName="nobody")


def test_a_crawler_is_running_until_it_has_crawled(glue: Any) -> None:
    until(
        lambda: _first_of_many(
            glue.exceptions.CrawlerRunningException, lambda: glue.start_crawler(Name="lines")
        )
    )
    until(lambda: glue.get_crawler(Name="lines")["Crawler"]["State"] == "READY")
    assert glue.get_crawler(Name="lines")["Crawler"]["LastCrawl"]["Status"] == "SUCCEEDED"
    assert len(glue.get_partitions(DatabaseName=DATABASE, TableName="lines")["Partitions"]) == 200
    (metrics,) = glue.get_crawler_metrics(CrawlerNameList=["lines"])["CrawlerMetricsList"]
    assert metrics["LastRuntimeSeconds"] > 0
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.start_crawler(Name="nobody")


def _first_of_many(refusal: type[Exception], start: Callable[[], Any]) -> bool:
    """Start at once from many threads; whether some were refused. None is on a machine so busy that each of them ends
    before the next is sent."""

    def is_refused(_: int) -> bool:
        try:
            start()
        except refusal:
            return True
        return False

    with ThreadPoolExecutor(8) as threads:
        refused = list(threads.map(is_refused, range(8)))
    assert not all(refused), "the first is not refused"
    return any(refused)


def test_as_many_runs_go_on_as_the_workflow_says(glue: Any) -> None:
    _workflow(glue, "limited", MaxConcurrentRuns=1)
    error = glue.exceptions.ConcurrentRunsExceededException
    until(lambda: _first_of_many(error, lambda: glue.start_workflow_run(Name="limited")))

    def runs() -> list[dict[str, Any]]:
        return sorted(glue.get_workflow_runs(Name="limited")["Runs"], key=lambda run: run["StartedOn"])

    until(lambda: all(run["Status"] == "COMPLETED" for run in runs()))
    assert all(one["CompletedOn"] <= next_one["StartedOn"] for one, next_one in pairwise(runs()))


def test_a_workflow_run_can_be_followed_to_its_end(glue: Any) -> None:
    _workflow(glue, "followed", DefaultRunProperties={"full": "false", "a": "b"}, MaxConcurrentRuns=1)
    run_id = glue.start_workflow_run(Name="followed", RunProperties={"full": "true"})["RunId"]
    assert run_id.startswith("wr_")
    glue.put_workflow_run_properties(Name="followed", RunId=run_id, RunProperties={"seen": "1"})
    until(lambda: glue.get_workflow_run(Name="followed", RunId=run_id)["Run"]["Status"] == "COMPLETED")
    run = glue.get_workflow_run(Name="followed", RunId=run_id)["Run"]
    assert "Graph" not in run
    assert run["Statistics"]["TotalActions"] == run["Statistics"]["SucceededActions"] == 1
    assert run["CompletedOn"] >= run["StartedOn"]
    graph = glue.get_workflow_run(Name="followed", RunId=run_id, IncludeGraph=True)["Run"]["Graph"]
    assert {node["Type"] for node in graph["Nodes"]} == {"TRIGGER", "CRAWLER"}
    properties = glue.get_workflow_run_properties(Name="followed", RunId=run_id)["RunProperties"]
    assert properties == {"full": "true", "a": "b", "seen": "1"}

    second = glue.start_workflow_run(Name="followed")["RunId"]
    until(lambda: glue.get_workflow_run(Name="followed", RunId=second)["Run"]["Status"] == "COMPLETED")
    assert [each["WorkflowRunId"] for each in glue.get_workflow_runs(Name="followed")["Runs"]] == [
        second,
        run_id,
    ]
    assert glue.get_workflow(Name="followed")["Workflow"]["LastRun"]["WorkflowRunId"] == second


def test_a_stopped_workflow_run_ends_as_stopped(glue: Any) -> None:
    _workflow(glue, "stopped")
    stopped: list[str] = []

    def stop_in_time() -> bool:
        """Not in time is one that a busy machine stops after its end."""
        run_id = glue.start_workflow_run(Name="stopped")["RunId"]
        with contextlib.suppress(glue.exceptions.IllegalWorkflowStateException):
            glue.stop_workflow_run(Name="stopped", RunId=run_id)
            stopped.append(run_id)
        return bool(stopped)

    until(stop_in_time)
    (run_id,) = stopped

    def status() -> str:
        return str(glue.get_workflow_run(Name="stopped", RunId=run_id)["Run"]["Status"])

    until(lambda: status() not in ("RUNNING", "STOPPING"))
    assert status() == "STOPPED"
    assert glue.get_crawler(Name="lines")["Crawler"]["State"] == "READY", "it ended with what it ran"
    assert glue.get_crawler(Name="lines")["Crawler"]["LastCrawl"]["Status"] in ("CANCELLED", "SUCCEEDED")
    with pytest.raises(glue.exceptions.IllegalWorkflowStateException):
        glue.stop_workflow_run(Name="stopped", RunId=run_id)


@pytest.mark.parametrize("call", ["get_workflow_run", "stop_workflow_run", "get_workflow_run_properties"])
def test_a_run_that_does_not_exist_is_not_found(glue: Any, call: str) -> None:
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        getattr(glue, call)(Name="nobody", RunId="wr_nobody")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.start_workflow_run(Name="nobody")
