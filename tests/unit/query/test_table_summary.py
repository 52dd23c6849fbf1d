"""What ``watershed status`` tells of a table: of a failed publish, that analysts see the last good version."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.query.catalog import CatalogTable
from local.query.errors import UnreadableTable
from local.table_summary import TableSummary, summarized

PUBLISHED = {"snapshot-id": 7, "timestamp-ms": 1_767_268_800_000, "summary": {"total-records": "3"}}
REFUSED = {"snapshot-id": 8, "timestamp-ms": 1_767_272_400_000, "summary": {"total-records": "9"}}
MAIN = {"main": {"snapshot-id": 7, "type": "branch"}}

TABLE = CatalogTable(
    "watershed_curated", "patient", "iceberg", (), metadata_location="s3://lake/patient/v1.metadata.json"
)


def test_a_table_whose_metadata_is_gone_is_named() -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="lake")
        with pytest.raises(UnreadableTable, match=r"curated\.patient: its metadata .* is gone"):
            summarized(TABLE, s3)


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({}, ("never", 0, None, None)),
        (
            {"current-snapshot-id": 7, "snapshots": [PUBLISHED], "refs": MAIN},
            ("2026-01-01T12:00:00Z", 3, 7, None),
        ),
        (
            {
                "current-snapshot-id": 7,
                "snapshots": [PUBLISHED, REFUSED],
                "refs": {**MAIN, "audit_r1": {"snapshot-id": 8, "type": "branch"}},
            },
            ("2026-01-01T12:00:00Z", 3, 7, "2026-01-01T13:00:00Z"),
        ),
    ],
)
def test_rows_that_failed_their_audit_are_told_of_beside_what_is_published(
    metadata: dict[str, Any], told: tuple[Any, ...]
) -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="lake")
        s3.put_object(Bucket="lake", Key="patient/v1.metadata.json", Body=json.dumps(metadata).encode())
        published, rows, snapshot, waiting = told
        assert summarized(TABLE, s3) == TableSummary("curated.patient", rows, published, snapshot, waiting)
