"""What a socket's client is told, and who may connect."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lambdas.keep_roster.token import NoAccessError, check, claims_of, token_of
from lambdas.socket_publish.message import message

EXECUTION = "arn:aws:states:eu-west-1:1:execution:watershed-export:nightly"


def _event(kind: str, **detail: Any) -> dict[str, Any]:
    return {"id": "e-1", "time": "2026-01-31T00:00:00Z", "detail-type": kind, "detail": detail}


def test_an_exports_end_is_told_by_its_name() -> None:
    landed = _event("Export Landed", execution=EXECUTION, files=3, workflowRunId="wr_1", bytes=9)
    assert message(landed) == {
        "type": "export",
        "id": "e-1",
        "at": "2026-01-31T00:00:00Z",
        "name": "nightly",
        "status": "SUCCEEDED",
        "files": 3,
        "run_id": "wr_1",
    }


def test_a_failure_is_told_by_the_name_of_its_error_alone() -> None:
    failed = _event("Export Failed", execution=EXECUTION, error="ExportFailed", cause="told elsewhere")
    told = message(failed)
    assert told is not None
    assert (told["status"], told["error"]) == ("FAILED", "ExportFailed")
    assert "elsewhere" not in json.dumps(told)


def test_a_jobs_end_is_told_without_its_text() -> None:
    ended = _event(
        "Glue Job State Change", jobName="watershed-curate", state="FAILED", jobRunId="jr_1", message="why"
    )
    assert message(ended) == {
        "type": "job",
        "id": "e-1",
        "at": "2026-01-31T00:00:00Z",
        "name": "watershed-curate",
        "status": "FAILED",
        "run_id": "jr_1",
    }


def test_a_table_that_changed_is_told_as_in_sql() -> None:
    changed = _event(
        "Glue Data Catalog Table State Change",
        databaseName="watershed_curated",
        tableName="patient",
        typeOfChange="UpdateTable",
    )
    told = message(changed)
    assert told is not None
    assert (told["type"], told["name"], told["status"]) == ("table", "curated.patient", "CHANGED")


def test_other_events_are_nothing_to_tell() -> None:
    assert message(_event("Object Created")) is None
    assert message({}) is None


def _token(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"h.{payload}.s"


def test_a_token_comes_in_a_header_or_in_the_query() -> None:
    assert token_of({"headers": {"authorization": "Bearer t"}}) == "t"
    assert token_of({"headers": {"Authorization": "t"}, "queryStringParameters": {"token": "u"}}) == "t"
    assert token_of({"queryStringParameters": {"token": "u"}}) == "u"
    assert token_of({"headers": None, "queryStringParameters": None}) == ""


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.!.c", _token(["x"]), _token("x")])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(NoAccessError, match="no token"):
        claims_of(token)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://x/other"}, "another user pool"),
        ({"iss": "https://x/pool", "token_use": "id", "scope": "watershed/read"}, "scope"),
        ({"iss": "https://x/pool", "token_use": "access", "scope": "watershed/reader"}, "scope"),
        ({"iss": "https://x/pool", "token_use": "access"}, "scope"),
    ],
)
def test_a_token_of_another_pool_or_without_the_scope_is_refused(claims: dict[str, Any], why: str) -> None:
    with pytest.raises(NoAccessError, match=why):
        check(claims_of(_token(claims)), "pool", "watershed/read")


def test_a_good_token_passes() -> None:
    check(
        {"iss": "https://x/pool", "token_use": "access", "scope": "a watershed/read"},
        "pool",
        "watershed/read",
    )
