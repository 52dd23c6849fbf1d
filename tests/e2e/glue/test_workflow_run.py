"""Crawlers and workflows on the emulator: started through its API, followed through its API."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from crawlers import load_crawlers
from local.errors import LocalError
from local.query import UnreadableTable, run_query
from local.workflow_run import await_workflow, resume_workflow
from tests.conftest import PATIENCE
from tests.e2e.glue.conftest import ARGUMENTS, DATABASE, LANDING, Stack

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import PredicateTypeDef, WorkflowRunTypeDef

pytestmark = pytest.mark.e2e

SITE = "items/table_name=watershed-site-activity/item_type=SiteActivity"
FHIR = "fhir/resource_type=Patient/export_date=2025-01-31/export_id=job1"


def change(sequence: int, value: str, name: str = "INSERT") -> str:
    keys = '{"siteId":"s/1","createdAtTime":1738368000000}'
    image = "null" if name == "REMOVE" else f'{{"siteId":"s/1","valueOne":{value}}}'
    return (
        f'{{"event_id":"e{sequence}","event_name":"{name}","sequence_number":"{sequence}",'
        f'"changed_at":"2025-02-01T00:00:00Z","table_name":"watershed-site-activity","keys":{keys},'
        f'"new_image":{image},"old_image":null,"expired":false}}\n'
    )


def land_changes(stack: Stack, hour: str, *lines: str) -> None:
    body = gzip.compress("".join(lines).encode())
    stack.land(f"{SITE}/siteId=s%2F1/year=2025/month=02/day=01/hour={hour}/a.ndjson.gz", body)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.1)


def crawl(stack: Stack, name: str) -> dict[str, Any]:
    stack.glue.start_crawler(Name=name)
    until(lambda: stack.glue.get_crawler(Name=name)["Crawler"]["State"] == "READY")
    return dict(stack.glue.get_crawler(Name=name)["Crawler"]["LastCrawl"])


def test_a_crawl_makes_what_landed_queryable(stack: Stack) -> None:
    digits = "0.1234567890123456789012345678901234567"
    lines = "".join((change(1, "1.50"), change(2, digits), change(3, "", "REMOVE")))
    # Of a type that no other test lands.
    folder = "items/table_name=watershed-registry/item_type=Address/year=2025/month=02/day=01/hour=01"
    stack.land(f"{folder}/a.ndjson.gz", gzip.compress(lines.encode()))
    stack.land(f"{FHIR}/Patient-1.ndjson", b'{"resourceType":"Patient","id":"p1"}\n{"id":"p2"}\n')
    before = run_query("select count(*) from landing.address_change", stack.endpoint)
    assert before.rows == ((0,),)
    assert "no partitions" in before.notes[0]
    assert crawl(stack, "landing-items")["Status"] == "SUCCEEDED"
    assert crawl(stack, "landing-fhir")["Status"] == "SUCCEEDED"
    rows = run_query(
        "select event_name, new_image, expired, hour from landing.address_change "
        "where hour = '01' order by cast(sequence_number as bigint)",
        stack.endpoint,
    ).rows
    assert rows == (
        ("INSERT", '{"siteId":"s/1","valueOne":1.50}', False, "01"),
        ("INSERT", f'{{"siteId":"s/1","valueOne":{digits}}}', False, "01"),
        ("REMOVE", None, False, "01"),
    )
    fhir = run_query(
        "select json_extract_scalar(resource, '$.id') id, resource_type, export_id from landing.fhir_export "
        "where export_date = '2025-01-31' order by 1",
        stack.endpoint,
    )
    assert fhir.rows == (("p1", "Patient", "job1"), ("p2", "Patient", "job1"))


def test_a_crawl_tells_what_it_did(stack: Stack) -> None:
    land_changes(stack, "02", change(4, "2"))
    stack.land(f"{SITE}/stray.ndjson", b"{}\n")
    last = crawl(stack, "landing-items")
    log = stack.state / "logs" / f"{last['LogStream']}.log"
    tables = {each["table"]: each for each in json.loads(log.read_text())["tables"]}
    assert tables["site_activity_change"]["added"] >= 1
    assert list(tables["site_activity_change"]["ignored"]) == ["stray.ndjson"]
    assert crawl(stack, "landing-items")["Status"] == "SUCCEEDED"
    (metrics,) = stack.glue.get_crawler_metrics(CrawlerNameList=["landing-items"])["CrawlerMetricsList"]
    assert metrics["TablesUpdated"] == 0


def test_show_partitions_lists_what_the_crawl_added(stack: Stack) -> None:
    land_changes(stack, "03", change(5, "3"))
    crawl(stack, "landing-items")
    rows = run_query("SHOW PARTITIONS landing.site_activity_change", stack.endpoint).rows
    assert ("site_id=s/1/year=2025/month=02/day=01/hour=03",) in rows
    found = "select site_id, event_name, hour from landing.site_activity_change where site_id = 's/1' and hour = '03'"
    assert run_query(found, stack.endpoint).rows == (("s/1", "INSERT", "03"),)


def test_a_crawl_that_fails_says_why(stack: Stack) -> None:
    targets: Any = {"CatalogTargets": [{"DatabaseName": DATABASE, "Tables": ["nothing"]}]}
    stack.glue.create_crawler(
        Name="broken", Role="arn:aws:iam::000000000000:role/crawlers", DatabaseName=DATABASE, Targets=targets
    )
    last = crawl(stack, "broken")
    assert last["Status"] == "FAILED"
    assert "no table watershed_landing.nothing" in last["ErrorMessage"]


def test_an_object_that_is_no_gzip_is_named(stack: Stack) -> None:
    key = (
        "items/table_name=watershed-registry/item_type=Patient/year=2025/month=01/day=01/hour=00/x.ndjson.gz"
    )
    stack.land(key, b"not gzip")
    crawl(stack, "landing-items")
    with pytest.raises(UnreadableTable, match=r"watershed_landing.patient_change: .*x.ndjson.gz"):
        run_query("select * from landing.patient_change", stack.endpoint)
    stack.s3.delete_object(Bucket=LANDING, Key=key)


def deploy_workflow(stack: Stack, name: str, jobs: dict[str, str], first: list[dict[str, str]]) -> None:
    """A workflow that starts ``first`` (crawlers), then each of ``jobs`` (name → script) in turn."""
    glue = stack.glue
    glue.create_workflow(Name=name, MaxConcurrentRuns=1, DefaultRunProperties={"mode": "test"})
    glue.create_trigger(Name=f"{name}-start", WorkflowName=name, Type="ON_DEMAND", Actions=first)  # type: ignore[arg-type]
    conditions: list[dict[str, str]] = [
        {"LogicalOperator": "EQUALS", "CrawlerName": each["CrawlerName"], "CrawlState": "SUCCEEDED"}
        for each in first
    ]
    for job, script in jobs.items():
        glue.create_job(
            Name=job,
            Role="arn:aws:iam::000000000000:role/jobs",
            Command={"Name": "glueetl", "ScriptLocation": script},
            DefaultArguments=ARGUMENTS,
        )
        glue.create_trigger(
            Name=f"{name}-{job}",
            WorkflowName=name,
            Type="CONDITIONAL",
            StartOnCreation=True,
            Predicate=cast("PredicateTypeDef", {"Logical": "AND", "Conditions": conditions}),
            Actions=[{"JobName": job}],
        )
        conditions = [{"LogicalOperator": "EQUALS", "JobName": job, "State": "SUCCEEDED"}]


def run_workflow(stack: Stack, name: str) -> WorkflowRunTypeDef:
    run_id = stack.glue.start_workflow_run(Name=name)["RunId"]

    def run() -> WorkflowRunTypeDef:
        return stack.glue.get_workflow_run(Name=name, RunId=run_id, IncludeGraph=True)["Run"]

    until(lambda: run()["Status"] not in ("RUNNING", "STOPPING"))
    return run()


def test_a_workflow_whose_job_fails_completes_and_leaves_what_follows_unstarted(stack: Stack) -> None:
    deploy_workflow(
        stack,
        "fails",
        {"no-such-module": "s3://assets/no_such_module.py", "after": "s3://assets/curate.py"},
        [{"CrawlerName": "landing-items"}, {"CrawlerName": "landing-fhir"}],
    )
    run = run_workflow(stack, "fails")
    assert run["Status"] == "COMPLETED"
    counts = {name: count for name, count in run["Statistics"].items() if count}
    assert counts == {"TotalActions": 3, "SucceededActions": 2, "FailedActions": 1}
    nodes = {node["UniqueId"]: node for node in run["Graph"]["Nodes"]}
    (failed,) = nodes["job/no-such-module"]["JobDetails"]["JobRuns"]
    assert failed["JobRunState"] == "FAILED"
    assert "no_such_module.py" in failed["ErrorMessage"]
    assert failed["Arguments"]["--WORKFLOW_NAME"] == "fails"
    assert failed["Arguments"]["--WORKFLOW_RUN_ID"] == run["WorkflowRunId"]
    assert nodes["job/after"]["JobDetails"]["JobRuns"] == []
    (crawled,) = nodes["crawler/landing-items"]["CrawlerDetails"]["Crawls"]
    assert crawled["State"] == "SUCCEEDED"
    edges = {(edge["SourceId"], edge["DestinationId"]) for edge in run["Graph"]["Edges"]}
    assert ("crawler/landing-fhir", "trigger/fails-no-such-module") in edges
    assert ("trigger/fails-no-such-module", "job/no-such-module") in edges


def test_a_workflow_that_starts_a_crawler_twice_at_once_says_so(stack: Stack) -> None:
    deploy_workflow(stack, "twice", {}, [{"CrawlerName": "landing-items"}, {"CrawlerName": "landing-items"}])
    run = run_workflow(stack, "twice")
    assert run["Status"] == "COMPLETED"
    assert run["Statistics"]["TotalActions"] == 1
    assert run["Statistics"]["SucceededActions"] == 1, "the first start goes on, and the run until it ends"
    assert stack.glue.get_crawler(Name="landing-items")["Crawler"]["State"] == "READY"


def test_a_workflow_without_a_start_ends_in_error(stack: Stack) -> None:
    stack.glue.create_workflow(Name="empty")
    run = run_workflow(stack, "empty")
    assert run["Status"] == "ERROR"
    assert "one trigger that starts it" in run["ErrorMessage"]


def test_a_run_is_resumed_from_what_failed(stack: Stack) -> None:
    glue = stack.glue
    missing: Any = {"CatalogTargets": [{"DatabaseName": DATABASE, "Tables": ["not_yet"]}]}
    glue.create_crawler(
        Name="mended", Role="arn:aws:iam::000000000000:role/crawlers", DatabaseName=DATABASE, Targets=missing
    )
    deploy_workflow(stack, "resumed", {}, [{"CrawlerName": "landing-items"}, {"CrawlerName": "mended"}])
    glue.create_trigger(
        Name="resumed-then",
        WorkflowName="resumed",
        Type="CONDITIONAL",
        StartOnCreation=True,
        Predicate={
            "Logical": "AND",
            "Conditions": [
                {"LogicalOperator": "EQUALS", "CrawlerName": name, "CrawlState": "SUCCEEDED"}
                for name in ("landing-items", "mended")
            ],
        },
        Actions=[{"CrawlerName": "landing-fhir"}],
    )
    first = run_workflow(stack, "resumed")
    assert (first["Status"], first["Statistics"]["FailedActions"]) == ("COMPLETED", 1)
    for ids, error in (
        (["crawler/landing-fhir"], "never started it"),
        (["trigger/resumed-then"], "is no job or crawler"),
    ):
        with pytest.raises(glue.exceptions.InvalidInputException, match=error):
            glue.resume_workflow_run(Name="resumed", RunId=first["WorkflowRunId"], NodeIds=ids)
    found: Any = load_crawlers()[0].targets(DATABASE)
    glue.update_crawler(Name="mended", Targets=found)
    run_id = resume_workflow(glue, "resumed")
    run = await_workflow(glue, "resumed", run_id, lambda _run: None, timeout=PATIENCE)
    states = {node.name: node.state for node in run.nodes}
    assert states == dict.fromkeys(("landing-items", "mended", "landing-fhir"), "SUCCEEDED")
    shown = glue.get_workflow_run(Name="resumed", RunId=run_id, IncludeGraph=True)["Run"]
    assert shown["PreviousRunId"] == first["WorkflowRunId"]
    assert shown["Statistics"]["SucceededActions"] == 2, "what stands is not run again"
    with pytest.raises(LocalError, match="Nothing failed in the latest run"):
        resume_workflow(glue, "resumed")
