"""The control plane on the emulator: tokens of the user pool, templates, roles, and what is behind them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from infra.api.operations import OPERATIONS, Operation
from tests.e2e.emulator.conftest import Deployed, until
from tests.e2e.emulator.rest_apis import Api
from tests.e2e.emulator.signed_in import PASSWORD, altered, short_lived, sign_in
from tests.e2e.emulator.signed_in import claims as claims_of
from tests.e2e.emulator.socket_client import RefusedError, SocketClient

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def api(deployed: Deployed) -> Api:
    return Api(deployed.emulator.endpoint, deployed.outputs["ControlApiId"])


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.id for each in OPERATIONS])
def test_without_a_good_token_nothing_is_answered(api: Api, analyst: str, operation: Operation) -> None:
    method, path = operation.method.upper(), operation.path.format(name="x", id="1")
    body: Any = {} if operation.body else None
    for token in ("", "no token", altered(analyst, exp=int(time.time()) - 1), altered(analyst, scope="watershed/start watershed/read")):  # fmt: skip
        refused = api(method, path, body, token=token)
        assert (refused.status, refused.body["code"]) == (401, "UNAUTHORIZED"), token


def test_a_token_that_was_good_is_refused_once_it_has_expired(
    api: Api, deployed: Deployed, analyst: str
) -> None:
    token = _in_its_time(api, deployed)
    until(lambda: time.time() > claims_of(token)["exp"])
    assert api("GET", "/exports", token=token).status == 401
    with pytest.raises(RefusedError):
        SocketClient(
            deployed.emulator.endpoint,
            f"/_aws/execute-api/{deployed.outputs['SocketApiId']}/v1?token={token}",
        )


def _in_its_time(api: Api, deployed: Deployed) -> str:
    """A token that was taken before it expired; one that lives longer where a busy machine took too long to ask."""
    for seconds in (3, 12, 48):
        token = short_lived(deployed, "test-analyst", seconds)
        answer = api("GET", "/exports", token=token)
        if time.time() < claims_of(token)["exp"]:
            assert answer.status == 200, answer.body
            return token
    raise AssertionError("no token was taken in its time")


def test_an_id_token_has_no_scope_and_nobody_without_a_group_has_one(
    api: Api, deployed: Deployed, nobody: str
) -> None:
    assert api("GET", "/exports", token=nobody).status == 401
    tokens = sign_in(deployed, "test-analyst")
    assert api("GET", "/exports", token=tokens["IdToken"]).status == 401


def test_an_analyst_reads_and_does_not_start(api: Api, analyst: str) -> None:
    assert api("GET", "/exports", token=analyst).status == 200
    assert api("POST", "/exports", {}, token=analyst).status == 401
    assert api("POST", "/runs", {}, token=analyst).status == 401


def test_an_export_is_started_watched_and_refused_a_second_time(
    api: Api, engineer: str, analyst: str
) -> None:
    asked = {"name": "from-the-api", "mode": "full", "reason": 'it\'s "due" – ✓ \\'}
    started = api("POST", "/exports", asked, token=engineer)
    assert (started.status, started.headers["Location"]) == (202, "/v1/exports/from-the-api")
    assert started.body == {
        "name": "from-the-api",
        "status": "RUNNING",
        "status_url": "/v1/exports/from-the-api",
    }

    def read() -> dict[str, Any]:
        return dict(api("GET", "/exports/from-the-api", token=analyst).body)

    until(lambda: read()["status"] != "RUNNING")
    ended = read()
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["options"] == asked
    assert ended["outcome"]
    assert ended["ended_at"] >= ended["started_at"] > 1_700_000_000
    again = api("POST", "/exports", {**asked, "mode": "incremental"}, token=engineer)
    assert (again.status, again.body["code"]) == (409, "ExecutionAlreadyExists")
    names = [each["name"] for each in api("GET", "/exports?status=SUCCEEDED", token=analyst).body["exports"]]
    assert "from-the-api" in names


def test_what_is_not_there_is_404_and_what_is_wrong_is_400(api: Api, engineer: str) -> None:
    assert api("GET", "/exports/never-started", token=engineer).status == 404
    assert api("GET", "/runs/wr_0", token=engineer).status == 404
    wrong = api("POST", "/exports", {"mode": "everything"}, token=engineer)
    assert wrong.status == 400
    assert "everything" in wrong.body["message"]
    assert api("POST", "/exports", b"mode=full", token=engineer, media="text/plain").status == 415


def test_runs_and_tables_are_shown(api: Api, analyst: str) -> None:
    runs = api("GET", "/runs", token=analyst)
    assert runs.status == 200
    for run in runs.body["runs"]:
        shown = api("GET", f"/runs/{run['id']}", token=analyst)
        assert (shown.status, shown.body["id"]) == (200, run["id"])
    tables = api("GET", "/tables", token=analyst)
    assert tables.status == 200
    zones = {each["table"].partition(".")[0] for each in tables.body["tables"]}
    assert zones <= {"conformed", "curated", "curated_deid"}


def test_an_analyst_is_admitted_signs_in_and_is_disabled(api: Api, engineer: str, deployed: Deployed) -> None:
    asked = {"email": "roe@example.org", "name": 'R. "Ünal" O\'Roe', "group": "analyst"}
    admitted = api("POST", "/analysts", asked, token=engineer)
    assert (admitted.status, admitted.body) == (
        200,
        {**asked, "id": admitted.body.get("id"), "enabled": True},
    )
    number = admitted.body["id"]
    assert int(number) >= 1
    again = api("POST", "/analysts", {**asked, "email": "doe@example.org"}, token=engineer)
    assert int(again.body["id"]) == int(number) + 1

    cognito = deployed.emulator.client("cognito-idp")
    cognito.admin_set_user_password(
        UserPoolId=deployed.outputs["UserPoolId"], Username=number, Password=PASSWORD, Permanent=True
    )
    parameters = {"USERNAME": number, "PASSWORD": PASSWORD}
    client = deployed.outputs["UserPoolClientId"]
    tokens = cognito.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)[
        "AuthenticationResult"
    ]
    claims = claims_of(tokens["AccessToken"])
    assert (claims["analyst_id"], claims["analyst_name"]) == (number, asked["name"])
    assert "watershed/read" in claims["scope"].split()
    assert api("GET", "/exports", token=tokens["AccessToken"]).status == 200
    assert api("POST", "/analysts", asked, token=tokens["AccessToken"]).status == 401

    disabled = api("DELETE", f"/analysts/{number}", token=engineer)
    assert (disabled.status, disabled.body) == (200, {"id": number, "enabled": False})
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        cognito.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)
    unknown = api("DELETE", "/analysts/999", token=engineer)
    assert (unknown.status, unknown.body["message"]) == (404, "There is no analyst of this number")


def test_a_bad_analyst_is_refused_with_the_reason(api: Api, engineer: str) -> None:
    wrong = api("POST", "/analysts", {"email": "roe", "name": "R", "group": "analyst"}, token=engineer)
    assert wrong.status == 400
    assert "roe" in wrong.body["message"]
