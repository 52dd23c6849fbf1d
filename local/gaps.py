"""What of the items' changes is stuck or about to be lost, each with the command that mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.replay.failures import PARKED

_NEAR_RETENTION = timedelta(hours=18)
"""Of the 24 hours that a stream keeps: from here on a gap is likely."""
_LOOKED_BACK = timedelta(hours=3)
_PERIOD_SECONDS = 300


@dataclass(frozen=True)
class Gap:
    """``kind`` is ``parked`` or ``late``; ``found`` says what was seen, ``command`` what to do."""

    kind: str
    found: str
    command: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def find_gaps(
    s3: Any, cloudwatch: Any, failure_bucket: str, function_name: str, now: datetime | None = None
) -> list[Gap]:
    """Batches that wait in the failure bucket, and a function that reads the stream near its end."""
    return [*_parked(s3, failure_bucket), *_late(cloudwatch, function_name, now or datetime.now(UTC))]


def _parked(s3: Any, bucket: str) -> list[Gap]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PARKED)
    waiting = [entry["LastModified"] for page in pages for entry in page.get("Contents", ())]
    if not waiting:
        return []
    found = f"{len(waiting):,} batches could not be landed, the first at {min(waiting):%Y-%m-%d %H:%M}Z"
    return [Gap("parked", found, "watershed replay --source items --from failures")]


def _late(cloudwatch: Any, function_name: str, now: datetime) -> list[Gap]:
    reply = cloudwatch.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="IteratorAge",
        Dimensions=[{"Name": "FunctionName", "Value": function_name}],
        StartTime=now - _LOOKED_BACK,
        EndTime=now,
        Period=_PERIOD_SECONDS,
        Statistics=["Maximum"],
    )
    points = reply.get("Datapoints", [])
    if not points:
        return []
    worst = max(points, key=lambda each: each["Maximum"])
    age = timedelta(milliseconds=worst["Maximum"])
    if age < _NEAR_RETENTION:
        return []
    # The oldest record not yet read, and a margin before it: an export from then on holds all that is lost.
    since = (worst["Timestamp"] - age - timedelta(minutes=10)).astimezone(UTC)
    hours = age.total_seconds() / 3600
    return [
        Gap(
            "late",
            f"the stream was read {hours:.0f} hours late, and it keeps 24",
            f"watershed items backfill --since {since:%Y-%m-%dT%H:%M:%SZ}",
        )
    ]
