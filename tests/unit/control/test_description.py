"""The OpenAPI description: what it promises, and that `docs/openapi.json` is what the gateway is made from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft4Validator

from infra.api.description import Wiring, exported, openapi
from infra.api.operations import GROUPS, OPERATIONS, SCOPES, Call, Invoke
from infra.api.schemas import ANSWERS, REQUESTS
from infra.packaging import REPOSITORY

ROLES = {
    each.behind.role: f"arn:role/{each.behind.role}" for each in OPERATIONS if isinstance(each.behind, Call)
}
FUNCTIONS = {each.behind.folder: "arn:function" for each in OPERATIONS if isinstance(each.behind, Invoke)}
WIRED = openapi(Wiring("eu-west-1", "arn:pool", ROLES, FUNCTIONS))


def _operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in described["paths"].values():
        yield from item.values()


def test_the_exported_description_is_current() -> None:
    written = (REPOSITORY / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert written == exported(), "write it anew with: python -m infra.api.description"


def test_what_users_read_names_nothing_of_the_account() -> None:
    assert "x-amazon" not in exported()
    assert "arn:" not in exported()


def test_every_operation_asks_for_exactly_one_scope_that_a_group_has() -> None:
    granted = {f"watershed/{scope}" for scopes in GROUPS.values() for scope in scopes}
    for operation in _operations(WIRED):
        ((scope,),) = (each["signedIn"] for each in operation["security"])
        assert scope in granted
    assert {scope for scopes in GROUPS.values() for scope in scopes} == set(SCOPES)


def test_analysts_read_and_engineers_start() -> None:
    needed = {each.id: each.scope for each in OPERATIONS}
    assert {id_ for id_, scope in needed.items() if scope in GROUPS["analyst"]} == {
        *("listExports", "readExport", "listRuns", "readRun", "listTables", "listQuarantine")
    }
    assert set(needed.values()) <= set(GROUPS["engineer"])


def test_bodies_are_validated_and_only_json_passes() -> None:
    assert WIRED["x-amazon-apigateway-request-validators"][
        WIRED["x-amazon-apigateway-request-validator"]
    ] == {
        "validateRequestBody": True,
        "validateRequestParameters": True,
    }
    for operation in _operations(WIRED):
        integration = operation["x-amazon-apigateway-integration"]
        if integration["type"] == "aws":
            assert integration["passthroughBehavior"] == "never"
            assert set(integration["requestTemplates"]) == {"application/json"}
            assert integration["credentials"] in ROLES.values()
            assert set(integration["responses"]) == {"default", r"4\d{2}", r"5\d{2}"}


def test_every_reference_is_there_and_every_schema_is_one() -> None:
    described = json.dumps(openapi())
    for name, schema in {**REQUESTS, **ANSWERS}.items():
        Draft4Validator.check_schema(schema)
        assert f"#/components/schemas/{name}" in described, f"nothing uses {name}"
    assert set(openapi()["components"]["schemas"]) == set(REQUESTS) | set(ANSWERS)


@pytest.mark.parametrize(
    ("schema", "body", "fits"),
    [
        ("ExportRequest", {}, True),
        ("ExportRequest", {"mode": "full", "types": ["Patient"], "reason": "it's due"}, True),
        ("ExportRequest", {"since": "2026-01-31T00:00:00Z"}, True),
        ("ExportRequest", {"since": "2026-01-31"}, False),
        ("ExportRequest", {"mode": "everything"}, False),
        ("ExportRequest", {"types": ["Patient", "Patient"]}, False),
        ("ExportRequest", {"types": "Patient"}, False),
        ("ExportRequest", {"name": "a b"}, False),
        ("ExportRequest", {"name": "a" * 81}, False),
        ("ExportRequest", {"stateMachineArn": "arn"}, False),
        ("RunRequest", {"reason": 1}, False),
        ("RunRequest", {"Name": "another"}, False),
        ("AnalystRequest", {"email": "roe@example.org", "name": "R. Roe", "group": "analyst"}, True),
        ("AnalystRequest", {"email": "roe", "name": "R. Roe", "group": "analyst"}, False),
        ("AnalystRequest", {"email": "a@b.c\n@x.org", "name": "R. Roe", "group": "analyst"}, False),
        ("AnalystRequest", {"email": "r\x1d@example.org", "name": "R. Roe", "group": "analyst"}, False),
        ("AnalystRequest", {"email": "r o@example.org", "name": "R. Roe", "group": "analyst"}, False),
        ("AnalystRequest", {"email": "o'r+x_1@example.org", "name": "R. Roe", "group": "analyst"}, True),
        ("AnalystRequest", {"email": "roe@example.org", "name": "R. Roe", "group": "root"}, False),
        ("AnalystRequest", {"email": "roe@example.org", "name": "R. Roe"}, False),
    ],
)
def test_requests_are_held_to_their_schemas(schema: str, body: Any, fits: bool) -> None:
    assert Draft4Validator(REQUESTS[schema]).is_valid(body) is fits
