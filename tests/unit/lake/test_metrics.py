"""What CloudWatch is told of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from glue_jobs.lake.metrics import Metric, job_metrics, percent, table_metrics, tell_cloudwatch

NAMESPACE = "Watershed/watershed"


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("cloudwatch")


def _told(cloudwatch: Any) -> set[tuple[str, str]]:
    return {
        (each["MetricName"], each["Dimensions"][0]["Value"])
        for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace=NAMESPACE)
        for each in page["Metrics"]
    }


def test_a_share_of_nothing_is_nothing() -> None:
    assert (percent(0, 0), percent(1, 4)) == (0.0, 25.0)


def test_the_share_in_quarantine_is_of_all_that_was_dealt_with() -> None:
    figures = {each.name: each.value for each in job_metrics("conform_items", False, 97, 3)}
    assert figures == {"Failed": 0, "RowsWritten": 97, "RowsQuarantined": 3, "QuarantinedPercent": 3.0}


@pytest.mark.parametrize(
    ("before", "lost", "percent_lost"), [(100, 25, 25.0), (100, -5, 0.0), (0, 0, 0.0), (10, 10, 100.0)]
)
def test_a_table_that_grew_has_lost_nothing(before: int, lost: int, percent_lost: float) -> None:
    figures = {each.name: each.value for each in table_metrics("patient", False, before, lost)}
    assert figures == {"Behind": 0, "RowsLostPercent": percent_lost}


def test_every_metric_arrives_however_many(cloudwatch: Any) -> None:
    metrics = [Metric("Behind", 0, "Count", ("Table", f"t{number}")) for number in range(1001)]
    tell_cloudwatch(NAMESPACE, metrics)
    assert _told(cloudwatch) == {("Behind", f"t{number}") for number in range(1001)}


def test_without_a_namespace_nothing_is_sent(cloudwatch: Any) -> None:
    tell_cloudwatch(None, table_metrics("patient", True))
    assert cloudwatch.list_metrics()["Metrics"] == []


def test_what_cannot_be_sent_fails_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def put_metric_data(self, **_given: Any) -> None:
            raise TimeoutError

    tell_cloudwatch(NAMESPACE, table_metrics("patient", True), Broken())
    assert '"event":"metrics not sent","error":"TimeoutError"' in capsys.readouterr().err
