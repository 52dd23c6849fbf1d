"""What ``watershed status`` says of gaps, against moto."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from local.gaps import find_gaps

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FUNCTION = "watershed-land-item-changes"


@pytest.mark.parametrize(("hours", "told"), [(None, False), (2, False), (20, True)])
def test_a_stream_read_near_its_end_is_told_with_the_export_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, hours: int | None, told: bool
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="failures")
        cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
        if hours is not None:
            cloudwatch.put_metric_data(
                Namespace="AWS/Lambda",
                MetricData=[
                    {
                        "MetricName": "IteratorAge",
                        "Dimensions": [{"Name": "FunctionName", "Value": FUNCTION}],
                        "Timestamp": NOW - timedelta(minutes=30),
                        "Value": hours * 3_600_000.0,
                    }
                ],
            )
        gaps = find_gaps(s3, cloudwatch, "failures", FUNCTION, NOW)
        if not told:
            assert gaps == []
            return
        (gap,) = gaps
        assert gap.found == "the stream was read 20 hours late, and it keeps 24"
        assert gap.command == "watershed items backfill --since 2026-11-24T15:20:00Z"


def test_parked_batches_are_told_with_the_replay_that_lands_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="failures")
        s3.put_object(Bucket="failures", Key="aws/lambda/esm/shard/2026/11/25/one", Body=b"{}")
        s3.put_object(Bucket="failures", Key="replayed/aws/lambda/esm/shard/2026/11/25/two", Body=b"{}")
        cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
        (gap,) = find_gaps(s3, cloudwatch, "failures", FUNCTION)
        assert gap.kind == "parked"
        assert gap.found.startswith("1 batches")
        assert gap.command == "watershed replay --source items --from failures"
