"""The control plane's functions, on moto's services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.list_quarantine import handler as list_quarantine
from lambdas.list_tables import handler as list_tables
from lambdas.shape_token import handler as shape_token
from lambdas.shape_token.handler import DisabledAnalystError

SCOPES = {"analyst": ["watershed/read"], "engineer": ["watershed/read", "watershed/start"]}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("DATABASES", "conformed=watershed_conformed,curated=watershed_curated")
    monkeypatch.setenv("ANALYSTS_TABLE", "analysts")
    monkeypatch.setenv("LANDING_BUCKET", "landing")
    monkeypatch.setenv("SCOPES", json.dumps(SCOPES))
    with mock_aws():
        list_tables.make_tables.cache_clear()
        list_quarantine.make_quarantine.cache_clear()
        shape_token.make_shaper.cache_clear()
        boto3.client("dynamodb").create_table(
            TableName="analysts",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield


def _table(database: str, name: str, location: str, metadata: Any = None) -> None:
    boto3.client("glue").create_table(
        DatabaseName=database, TableInput={"Name": name, "Parameters": {"metadata_location": location}}
    )
    if metadata is not None:
        key = location.removeprefix("s3://lake/")
        boto3.client("s3").put_object(Bucket="lake", Key=key, Body=json.dumps(metadata).encode())


def test_tables_of_both_zones_are_listed_and_one_that_is_broken_hides_none(aws: None) -> None:
    boto3.client("s3").create_bucket(Bucket="lake")
    for database in ("watershed_conformed", "watershed_curated"):
        boto3.client("glue").create_database(DatabaseInput={"Name": database})
    _table("watershed_curated", "patient", "s3://lake/warehouse/a/metadata/v1.metadata.json", {
        "current-snapshot-id": 1,
        "snapshots": [{"snapshot-id": 1, "timestamp-ms": 2000, "summary": {"total-records": "3"}}],
    })  # fmt: skip
    _table("watershed_conformed", "fhir_resource", "s3://lake/warehouse/b/metadata/v1.metadata.json", {})
    _table("watershed_conformed", "gone", "s3://lake/warehouse/c/metadata/v1.metadata.json")
    answer = list_tables.handler({}, None)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {
        "tables": [
            {"table": "conformed.fhir_resource", "rows": 0},
            {"table": "curated.patient", "rows": 3, "published_at": 2.0, "snapshot": "1"},
        ]
    }


def test_the_quarantine_is_counted_by_source_and_reason(aws: None) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="landing")
    for source, reason, day, name in [
        ("items", "wrong_type", "2026-01-30", "a"),
        ("items", "wrong_type", "2026-01-31", "b"),
        ("fhir", "not_json", "2026-01-31", "a"),
    ]:
        key = f"quarantine/source={source}/reason={reason}/date={day}/{name}.ndjson.gz"
        s3.put_object(Bucket="landing", Key=key, Body=b"four")
    s3.put_object(Bucket="landing", Key="items/table_name=t/a.ndjson.gz", Body=b"no quarantine")
    answer = list_quarantine.handler({}, None)
    told = json.loads(answer["body"])
    assert told["complete"] is True
    assert [
        (each["source"], each["reason"], each["objects"], each["bytes"]) for each in told["quarantine"]
    ] == [
        ("fhir", "not_json", 1, 4),
        ("items", "wrong_type", 2, 8),
    ]
    few = list_quarantine.Quarantine(s3, "landing", max_objects=1).told()
    assert (few["complete"], sum(each["objects"] for each in few["quarantine"])) == (False, 1)


def _event(user: str, *groups: str) -> dict[str, Any]:
    return {
        "userName": user,
        "request": {"groupConfiguration": {"groupsToOverride": list(groups)}},
        "response": {"claimsAndScopeOverrideDetails": None},
    }


def test_a_token_gets_the_scopes_of_the_groups_and_the_claims_of_the_profile(aws: None) -> None:
    item = {"id": "7", "name": "R. Roe", "group": "engineer", "email": "roe@example.org"}
    boto3.client("dynamodb").put_item(
        TableName="analysts", Item={name: {"S": value} for name, value in item.items()}
    )
    details = shape_token.handler(_event("7", "engineer", "unknown"), None)["response"]
    override = details["claimsAndScopeOverrideDetails"]
    claims = {"analyst_id": "7", "analyst_name": "R. Roe", "analyst_group": "engineer"}
    assert override["idTokenGeneration"] == {"claimsToAddOrOverride": claims}
    assert override["accessTokenGeneration"] == {
        "claimsToAddOrOverride": claims,
        "scopesToAdd": ["watershed/read", "watershed/start"],
    }


def test_a_user_without_group_or_profile_gets_neither_scope_nor_claim(aws: None) -> None:
    event = _event("first-engineer")
    del event["request"]["groupConfiguration"]
    override = shape_token.handler(event, None)["response"]["claimsAndScopeOverrideDetails"]
    assert override["accessTokenGeneration"] == {"claimsToAddOrOverride": {}, "scopesToAdd": []}


def test_a_disabled_analyst_gets_no_token(aws: None) -> None:
    boto3.client("dynamodb").put_item(
        TableName="analysts", Item={"id": {"S": "7"}, "disabledAt": {"S": "2026-01-01T00:00:00Z"}}
    )
    with pytest.raises(DisabledAnalystError):
        shape_token.handler(_event("7", "analyst"), None)
