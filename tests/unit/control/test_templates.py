"""Every mapping template, rendered as the gateway would, with inputs that break careless ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.api.description import TEMPLATES, template
from infra.api.operations import OPERATIONS, Call
from local.emulator.mapping_template import MappingTemplateError, Rendered, Request, render
from tests.conftest import examples

AWKWARD = [
    "it's",
    'say "no"',
    "back\\slash",
    "\\\"'",
    "line\nbreak\ttab\r",
    "</script>",
    "Ünïcödé 漢字 \u2028",
    "😀",
    "${jndi} $input.json('$') #set($x = 1) #end",
    '{"nested": "json"}',
    "\u0000\u001f",
]
VARIABLES = {
    "exportMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:watershed-export",
    "exportExecutionsArn": "arn:aws:states:eu-west-1:1:execution:watershed-export",
    "workflow": "watershed",
    "admitMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:watershed-admit-analyst",
    "disableMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:watershed-disable-analyst",
}


def rendered(name: str, body: Any = None, /, **parameters: str) -> Rendered:
    claims = {"sub": "5f0c-boss"}
    context = {"requestId": "0b1c", "path": "/v1/exports", "authorizer": {"claims": claims}}
    text = "" if body is None else json.dumps(body, ensure_ascii=False)
    return render(template(name), text, Request(parameters, context, VARIABLES))


def made(name: str, body: Any = None, /, **parameters: str) -> Any:
    return json.loads(rendered(name, body, **parameters).text)


def test_there_is_no_template_that_nothing_uses() -> None:
    calls = [each.behind for each in OPERATIONS if isinstance(each.behind, Call)]
    used = {f"{each.request}.request" for each in calls} | {f"{each.response}.response" for each in calls}
    used |= {f"{each.error}.error" for each in calls} | {"unavailable.error"}
    assert {file.stem for file in TEMPLATES.glob("*.vtl")} == used


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(60))
@given(body=st.dictionaries(st.text().filter(lambda key: key != "name"), json_values, max_size=4))
def test_an_export_is_started_with_exactly_what_was_asked(body: dict[str, Any]) -> None:
    call = made("start_export.request", body)
    assert json.loads(call["input"]) == body
    assert call["stateMachineArn"] == VARIABLES["exportMachineArn"]
    assert call["name"] == "api-0b1c"


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_of_a_request_arrive_as_they_are(text: str) -> None:
    assert json.loads(made("start_export.request", {"reason": text})["input"]) == {"reason": text}
    assert made("start_run.request", {"reason": text})["RunProperties"] == {"reason": text}
    assert made("list_exports.request", next=text, status=text) == {
        "stateMachineArn": VARIABLES["exportMachineArn"],
        "maxResults": 50,
        "nextToken": text,
        "statusFilter": text,
    }
    assert made("list_runs.request", next=text)["NextToken"] == text
    assert made("read_run.request", id=text)["RunId"] == text
    assert (
        made("read_export.request", name=text)["executionArn"] == f"{VARIABLES['exportExecutionsArn']}:{text}"
    )


def test_a_name_is_the_clients_where_it_gives_one() -> None:
    call = made("start_export.request", {"name": "mine", "mode": "full"})
    assert call["name"] == "mine"
    # Part of the input too: asked again, input and name are the same, and Step Functions starts nothing twice.
    assert json.loads(call["input"]) == {"name": "mine", "mode": "full"}


@pytest.mark.parametrize("text", [*AWKWARD, "ends\n"])
def test_a_name_that_is_none_reaches_the_service_as_it_is_to_be_refused_there(text: str) -> None:
    """A validator's `$` lets a line's end through."""
    assert made("start_export.request", {"name": text})["name"] == text


def test_what_may_be_left_out_is_left_out() -> None:
    assert json.loads(made("start_export.request", {})["input"]) == {}
    assert made("start_run.request", {}) == {"Name": "watershed"}
    assert "nextToken" not in made("list_exports.request")
    assert made("list_runs.request") == {"Name": "watershed", "IncludeGraph": False, "MaxResults": 25}


def test_a_started_export_says_where_to_ask() -> None:
    arn = f"{VARIABLES['exportExecutionsArn']}:mine"
    answer = rendered("start_export.response", {"executionArn": arn, "startDate": 1.7e9})
    assert json.loads(answer.text) == {"name": "mine", "status": "RUNNING", "status_url": "/v1/exports/mine"}
    assert answer.headers == {"Location": "/v1/exports/mine"}
    run = rendered("start_run.response", {"RunId": "wr_1"})
    assert (json.loads(run.text)["id"], run.headers["Location"]) == ("wr_1", "/v1/exports/wr_1")


@pytest.mark.parametrize("text", AWKWARD)
def test_an_export_is_shown_with_what_it_left(text: str) -> None:
    described = {
        "name": "mine",
        "status": "FAILED",
        "startDate": 1700000000.25,
        "stopDate": 1700000060,
        "input": json.dumps({"reason": text}),
        "output": json.dumps({"files": [text]}, ensure_ascii=False),
        "error": text,
        "cause": text,
    }
    assert made("read_export.response", described) == {
        "name": "mine",
        "status": "FAILED",
        "started_at": 1700000000.25,
        "ended_at": 1700000060,
        "options": {"reason": text},
        "outcome": {"files": [text]},
        "error": text,
        "cause": text,
    }


def test_a_running_export_has_no_end_yet() -> None:
    running = {"name": "mine", "status": "RUNNING", "startDate": 1, "input": "{}"}
    assert set(made("read_export.response", running)) == {"name", "status", "started_at", "options"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lists_are_lists_however_long(count: int) -> None:
    executions = [
        {"name": f"e{n}", "status": "SUCCEEDED", "startDate": n, "stopDate": n + 1} for n in range(count)
    ]
    page = made("list_exports.response", {"executions": executions, "nextToken": 'it\'s "more"'})
    assert [each["name"] for each in page["exports"]] == [f"e{n}" for n in range(count)]
    assert page["next"] == 'it\'s "more"'
    statistics = {"TotalActions": 5, "RunningActions": 1, "SucceededActions": 3, "FailedActions": 1}
    runs = [
        {"WorkflowRunId": f"wr_{n}", "Status": "RUNNING", "StartedOn": n, "Statistics": statistics}
        for n in range(count)
    ]
    shown = made("list_runs.response", {"Runs": runs})
    assert [each["id"] for each in shown["runs"]] == [f"wr_{n}" for n in range(count)]
    assert "next" not in shown
    if count:
        assert shown["runs"][0]["actions"] == {"total": 5, "running": 1, "succeeded": 3, "failed": 1}


@pytest.mark.parametrize("text", AWKWARD)
def test_a_run_is_shown_job_by_job(text: str) -> None:
    run = {
        "WorkflowRunId": "wr_1",
        "Status": "COMPLETED",
        "StartedOn": 1,
        "CompletedOn": 9,
        "WorkflowRunProperties": {"export_id": "e1", "reason": text},
        "Statistics": {"TotalActions": 2, "RunningActions": 0, "SucceededActions": 1, "FailedActions": 1},
        "Graph": {
            "Nodes": [
                {"Type": "TRIGGER", "Name": "start"},
                {"Type": "CRAWLER", "Name": "c", "CrawlerDetails": {"Crawls": [{"State": "SUCCEEDED"}]}},
                {"Type": "JOB", "Name": "j", "JobDetails": {"JobRuns": []}},
                {
                    "Type": "JOB",
                    "Name": "k",
                    "JobDetails": {
                        "JobRuns": [{"JobRunState": "FAILED", "StartedOn": 2, "ErrorMessage": text}]
                    },
                },
            ]
        },
    }
    shown = made("read_run.response", {"Run": run})
    assert shown["nodes"] == [
        {"kind": "crawler", "name": "c", "state": "SUCCEEDED"},
        {"kind": "job", "name": "k", "state": "FAILED", "started_at": 2, "error": text},
    ]
    assert (shown["reason"], shown["export_id"], shown["ended_at"]) == (text, "e1", 9)


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("start_export", "ExecutionAlreadyExists", 409),
        ("start_export", "InvalidName", None),
        ("start_export", "ThrottlingException", 429),
        ("start_export", "AccessDeniedException", 502),
        ("export", "ExecutionDoesNotExist", 404),
        ("export", "InvalidToken", None),
        ("export", "StateMachineDoesNotExist", 502),
        ("analyst", "ThrottlingException", 429),
        ("analyst", "StateMachineDoesNotExist", 502),
        ("run", "ConcurrentRunsExceededException", 409),
        ("run", "EntityNotFoundException", 404),
        ("run", "InvalidInputException", None),
        ("run", "InternalServiceException", 502),
    ],
)
def test_a_refusal_of_the_service_becomes_a_status_and_a_clear_body(
    name: str, code: str, status: int | None
) -> None:
    refusal = {"__type": f"com.amazonaws.swf.service.v2.model#{code}", "message": 'of AWS\'s "own"'}
    answer = rendered(f"{name}.error", refusal)
    assert answer.status == status, "None keeps the mapped status, 400"
    body = json.loads(answer.text)
    assert (body["code"], body["request_id"]) == (code, "0b1c")
    assert "own" not in body["message"], "names of ours, not of what is behind"


@pytest.mark.parametrize("text", AWKWARD)
def test_an_analyst_is_admitted_as_asked_by_whoever_asked(text: str) -> None:
    asked = {"email": "roe@example.org", "name": text, "group": "analyst"}
    call = made("admit_analyst.request", asked)
    assert call["stateMachineArn"] == VARIABLES["admitMachineArn"]
    assert json.loads(call["input"]) == {"analyst": asked, "admittedBy": "5f0c-boss"}
    call = made("disable_analyst.request", id=text)
    assert call["stateMachineArn"] == VARIABLES["disableMachineArn"]
    assert json.loads(call["input"]) == {"id": text, "disabledBy": "5f0c-boss"}


@pytest.mark.parametrize("text", AWKWARD)
def test_what_became_of_an_analyst_is_answered(text: str) -> None:
    user = {"id": "7", "email": "roe@example.org", "name": text, "group": "analyst", "enabled": True}
    answer = rendered("analyst.response", _ended({"statusCode": 200, "body": user}))
    assert (answer.status, json.loads(answer.text)) == (200, user)
    answer = rendered("analyst.response", _ended({"statusCode": 200, "body": {"id": "7", "enabled": False}}))
    assert json.loads(answer.text) == {"id": "7", "enabled": False}
    answer = rendered("analyst.response", _ended({"statusCode": 400, "message": text}))
    body = json.loads(answer.text)
    assert (answer.status, body["message"], body["code"]) == (400, text, "NotDone")


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT"])
def test_an_execution_that_did_not_succeed_is_an_error_behind_the_api(status: str) -> None:
    answer = rendered("analyst.response", {"status": status, "error": "States.Runtime", "cause": "it's"})
    assert (answer.status, json.loads(answer.text)["code"]) == (502, "States.Runtime")


def _ended(response: dict[str, Any]) -> dict[str, Any]:
    return {"status": "SUCCEEDED", "output": json.dumps({"response": response}, ensure_ascii=False)}


def test_a_service_that_fails_has_a_clear_body_too() -> None:
    assert made("unavailable.error")["code"] == "BackendUnavailable"


def test_the_renderer_refuses_paths_that_it_does_not_know() -> None:
    with pytest.raises(MappingTemplateError, match="chain of names"):
        render("$input.path('$.a[0]')", "{}", Request())
