"""What CloudWatch is told of a run, so that alarms can ring: counts and shares, never values of data.

Only where the deployment names a namespace: on a laptop there is no CloudWatch to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glue_jobs.lake.log import log

_AT_ONCE = 1000
"""CloudWatch's limit for one call."""


@dataclass(frozen=True)
class Metric:
    """One figure, about a job or about a table."""

    name: str
    value: float
    unit: str
    dimension: tuple[str, str]


def percent(part: int, whole: int) -> float:
    """0 to 100; of nothing, nothing."""
    return 100 * part / whole if whole else 0.0


def job_metrics(job: str, failed: bool, written: int, quarantined: int) -> list[Metric]:
    """`Failed` (0 or 1), rows written and quarantined, and how much of what came in was quarantined."""
    about = ("Job", job)
    return [
        Metric("Failed", float(failed), "Count", about),
        Metric("RowsWritten", written, "Count", about),
        Metric("RowsQuarantined", quarantined, "Count", about),
        Metric("QuarantinedPercent", percent(quarantined, written + quarantined), "Percent", about),
    ]


def table_metrics(table: str, behind: bool, rows_before: int = 0, rows_lost: int = 0) -> list[Metric]:
    """`Behind`: 0 where the table shows what its inputs hold, 1 where it could not be made or failed its audit.
    `RowsLostPercent`: of its rows, how many fewer it has than before."""
    about = ("Table", table)
    lost = percent(max(rows_lost, 0), rows_before)
    return [
        Metric("Behind", float(behind), "Count", about),
        Metric("RowsLostPercent", lost, "Percent", about),
    ]


def tell_cloudwatch(namespace: str | None, metrics: Sequence[Metric], client: Any = None) -> None:
    """Send the metrics. A failure to is logged and fails no run: the alarms on missing figures ring then."""
    if namespace is None or not metrics:
        return
    try:
        if client is None:
            import boto3  # Glue's own

            client = boto3.client("cloudwatch")
        for start in range(0, len(metrics), _AT_ONCE):
            data = [
                {
                    "MetricName": each.name,
                    "Value": each.value,
                    "Unit": each.unit,
                    "Dimensions": [{"Name": each.dimension[0], "Value": each.dimension[1]}],
                }
                for each in metrics[start : start + _AT_ONCE]
            ]
            client.put_metric_data(Namespace=namespace, MetricData=data)
    except Exception as error:
        log("metrics not sent", error=type(error).__name__)
