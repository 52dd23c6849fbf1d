"""Export jobs of the simulator, through the client that the functions use."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.credentials import Credentials

from lambdas.shared.healthlake_client import ExportOrder, HealthLake
from lambdas.shared.healthlake_http import (
    HealthLakeRefusedError,
    HealthLakeThrottledError,
    HealthLakeUnavailableError,
    SignedHttp,
)
from local.healthlake import DATASTORE_ID, exports
from local.healthlake.clock import locale_date, now_ms, parse_instant
from local.healthlake.exports import STATES
from local.healthlake.quotas import Quotas
from local.healthlake.server import simulator
from tests.conftest import PATIENCE
from tests.unit.healthlake.conftest import Bucket, Served

ROLE, KEY = "arn:aws:iam::000000000000:role/export", "arn:aws:kms:us-east-1:000000000000:key/k"


def health_lake(url: str) -> HealthLake:
    sdk = boto3.client(
        "healthlake",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    http = SignedHttp(url, "us-east-1", Credentials("test", "test"), urllib3.PoolManager())
    return HealthLake(http, sdk, DATASTORE_ID)


def order(name: str = "job", **more: Any) -> ExportOrder:
    return ExportOrder(name, "s3://exports/exports/", KEY, ROLE, **more)


def ended(lake: HealthLake, job_id: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        description = lake.describe_export(job_id)
        if description.status not in ("SUBMITTED", "QUEUED", "IN_PROGRESS", "CANCEL_SUBMITTED"):
            return description
        assert time.monotonic() < deadline, f"job stays {description.status}"
        time.sleep(0.02)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def patients(*ids: str) -> list[dict[str, Any]]:
    return [{"resourceType": "Patient", "id": id_} for id_ in ids]


def test_files_hold_everything_in_pieces_under_the_documented_layout(served: Served) -> None:
    served.client.put_all([*patients(*"abcdefg"), {"resourceType": "Encounter", "id": "e"}])
    lake = health_lake(served.simulator.url)
    job_id = lake.start_export(order())
    description = ended(lake, job_id)
    assert description.status == "COMPLETED"
    folder = f"s3://exports/exports/{DATASTORE_ID}-FHIR_EXPORT-{job_id}/"
    assert all(file.url.startswith(f"{folder}{file.type}/{file.type}-") for file in description.output)
    assert [file.type for file in description.output] == ["Encounter", *["Patient"] * 3]
    lines = [
        json.loads(line)
        for file in description.output
        for line in served.bucket.objects[file.url].decode().splitlines()
    ]
    assert sorted(line["id"] for line in lines) == ["a", "b", "c", "d", "e", "e", "f", "g"]
    until(lambda: len(served.bucket.events) >= 3)  # a job has ended before that is announced
    assert [name for name, _ in served.bucket.events] == [
        "Export Job Submitted",
        "Export Job In Progress",
        "Export Job Completed",
    ]


def test_since_and_type_narrow_the_export(served: Served) -> None:
    served.client.put_all(patients("old"))
    written = now_ms()
    until(lambda: now_ms() > written)
    since = served.client.put(patients("new")[0])["meta"]["lastUpdated"]
    served.client.put({"resourceType": "Encounter", "id": "e"})
    lake = health_lake(served.simulator.url)
    description = ended(lake, lake.start_export(order(since=since, types=("Patient",))))
    (file,) = description.output
    assert [json.loads(line)["id"] for line in served.bucket.objects[file.url].splitlines()] == ["new"]


def test_one_job_runs_at_a_time_and_the_others_wait(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.client.put_all(patients("a"))
    go_on, put = threading.Event(), served.bucket.put

    def put_later(*given: Any) -> None:
        assert go_on.wait(PATIENCE)
        put(*given)

    monkeypatch.setattr(served.bucket, "put", put_later)
    lake = health_lake(served.simulator.url)
    jobs = [lake.start_export(order(f"job{n}")) for n in range(3)]
    assert [lake.describe_export(job).status for job in jobs[1:]] == ["QUEUED"] * 2
    go_on.set()
    assert [ended(lake, job).status for job in jobs] == ["COMPLETED"] * 3
    assert served.client.most_exports_at_once() == 1


def test_jobs_are_listed_newest_first_though_they_came_in_one_millisecond(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "now_ms", lambda: 1_700_000_000_000)
    lake = health_lake(served.simulator.url)
    jobs = [lake.start_export(order(f"job{n}")) for n in range(8)]
    listed = [each["exportJobProperties"]["jobId"] for each in served.client.exports()]
    assert listed == jobs[::-1]


def test_cancelling_ends_a_running_and_a_waiting_job(served: Served) -> None:
    served.client.plan_faults(export_seconds=30)
    lake = health_lake(served.simulator.url)
    running, waiting = lake.start_export(order("a")), lake.start_export(order("b"))
    lake.cancel_export(waiting)
    lake.cancel_export(running)
    assert ended(lake, running).status == ended(lake, waiting).status == "CANCEL_COMPLETED"
    with pytest.raises(HealthLakeRefusedError):
        lake.cancel_export(running)


def test_faults_happen_as_often_as_planned(served: Served) -> None:
    lake = health_lake(served.simulator.url)
    served.client.put_all(patients("a"))
    served.client.plan_faults(throttle=1, server_errors=1, lost_replies=1)
    with pytest.raises(HealthLakeThrottledError, match="quota or rate"):
        lake.start_export(order("lost"))
    with pytest.raises(HealthLakeUnavailableError):
        lake.start_export(order("lost"))
    assert lake.find_export("lost") is None
    with pytest.raises(HealthLakeUnavailableError):
        lake.start_export(order("lost"))
    lost = lake.find_export("lost")
    assert lost is not None
    assert ended(lake, lost).status == "COMPLETED"
    served.client.plan_faults(fail_exports=1, incomplete_exports=1)
    assert ended(lake, lake.start_export(order("failing"))).status == "FAILED"
    assert lake.find_export("failing") is None  # a failed job is nothing to wait for
    partial = ended(lake, lake.start_export(order("partial")))
    assert partial.status == "COMPLETED_WITH_ERRORS"
    assert [file.type for file in partial.errors] == ["OperationOutcome"]
    assert ended(lake, lake.start_export(order("good"))).status == "COMPLETED"


def test_a_corrupt_line_is_cut_and_its_neighbours_are_whole(served: Served) -> None:
    served.client.put_all(patients("a", "b", "c"))
    served.client.plan_faults(corrupt_lines=1)
    lake = health_lake(served.simulator.url)
    (file,) = ended(lake, lake.start_export(order())).output
    first, broken, last = served.bucket.objects[file.url].splitlines()
    assert json.loads(first)["id"] == "a"
    assert json.loads(last)["id"] == "c"
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)


def test_deletes_are_reported_only_where_asked(served: Served) -> None:
    since = served.client.put(patients("a")[0])["meta"]["lastUpdated"]
    served.client.delete("Patient", "a")
    lake = health_lake(served.simulator.url)
    assert ended(lake, lake.start_export(order("plain", since=since))).deleted == ()
    served.client.plan_faults(report_deletes=True)
    (file,) = ended(lake, lake.start_export(order("reporting", since=since))).deleted
    (bundle,) = map(json.loads, served.bucket.objects[file.url].splitlines())
    assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "Patient/a"}}]


@pytest.mark.parametrize("status", STATES)
def test_any_state_can_be_forced(served: Served, status: str) -> None:
    served.client.plan_faults(export_seconds=30)
    lake = health_lake(served.simulator.url)
    job_id = lake.start_export(order())
    served.client.force_status(job_id, status)
    assert lake.describe_export(job_id).status == status


def test_a_malformed_order_is_refused(served: Served) -> None:
    lake = health_lake(served.simulator.url)
    for wrong in (order("x" * 65), order(types=("no/type",)), order(since="yesterday")):
        with pytest.raises(HealthLakeRefusedError):
            lake.start_export(wrong)
    assert served.client.exports() == []


def test_a_job_cut_off_by_a_restart_runs_again(tmp_path: Path) -> None:
    bucket = Bucket()
    first = simulator(tmp_path, bucket, bucket.announce)
    first.start()
    first.faults.plan({"export_seconds": 30})
    lake = health_lake(first.url)
    job_id = lake.start_export(order())
    until(lambda: lake.describe_export(job_id).status == "IN_PROGRESS")
    first.stop()
    second = simulator(tmp_path, bucket, bucket.announce)
    second.start()
    try:
        assert ended(health_lake(second.url), job_id).status == "COMPLETED"
    finally:
        second.stop()


def test_rates_over_the_quota_are_throttled_and_recover() -> None:
    from local.healthlake.errors import Throttled

    now = 0.0
    quotas = Quotas({"start_export": 1}, clock=lambda: now)
    quotas.spend("start_export")
    with pytest.raises(Throttled):
        quotas.spend("start_export")
    now = 1.0
    quotas.spend("start_export")


def test_locale_dates_look_as_they_were_seen() -> None:
    assert locale_date(parse_instant("2023-08-26T13:46:56Z")) == "Aug 26, 2023 1:46:56 PM"
    assert locale_date(parse_instant("2023-08-06T00:05:06Z")) == "Aug 6, 2023 12:05:06 AM"
