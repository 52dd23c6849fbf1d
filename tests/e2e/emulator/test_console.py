"""The console before the deployed stack: its sign-in, and the API behind its server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from local.console.first_engineer import SignIn, first_engineer
from local.console.server import ConsoleServer
from tests.conftest import PATIENCE
from tests.e2e.emulator.conftest import Deployed
from tests.e2e.emulator.signed_in import claims
from tests.e2e.pages import serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def console(deployed: Deployed) -> Iterator[ConsoleServer]:
    with serving(deployed.outputs, deployed.emulator.endpoint) as server:
        yield server


def ask(console: ConsoleServer, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        console.url + path, data=None if body is None else json.dumps(body).encode()
    )
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def sign_in(console: ConsoleServer, who: SignIn) -> tuple[int, Any]:
    """As the page does it."""
    _, config = ask(console, "config.json")
    return ask(
        console,
        config["identityUrl"].removeprefix("/"),
        {
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": config["clientId"],
            "AuthParameters": {"USERNAME": who.name, "PASSWORD": who.password},
        },
        Content_Type="application/x-amz-json-1.1",
        X_Amz_Target="AWSCognitoIdentityProviderService.InitiateAuth",
    )


def test_the_first_engineer_signs_in_and_sees_tables_exports_and_runs(
    console: ConsoleServer, deployed: Deployed
) -> None:
    who = first_engineer(deployed.emulator.client("cognito-idp"), deployed.outputs["UserPoolId"])
    status, reply = sign_in(console, who)
    assert status == 200, reply
    token = reply["AuthenticationResult"]["AccessToken"]
    assert "watershed/start" in claims(token)["scope"].split()
    for name in ("tables", "exports", "runs", "quarantine"):
        status, body = ask(console, f"api/{name}", Authorization=token)
        assert (status, next(iter(body))) == (200, name)
        assert ask(console, f"api/{name}")[0] == 401


def test_a_later_password_replaces_the_one_before(console: ConsoleServer, deployed: Deployed) -> None:
    cognito, pool = deployed.emulator.client("cognito-idp"), deployed.outputs["UserPoolId"]
    before, now = first_engineer(cognito, pool), first_engineer(cognito, pool)
    assert sign_in(console, before)[0] == 400
    assert sign_in(console, now)[0] == 200
