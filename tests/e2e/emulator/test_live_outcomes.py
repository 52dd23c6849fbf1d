"""The socket on the emulator: who may connect, and that everyone hears how an export ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.emulator.conftest import Deployed, until
from tests.e2e.emulator.rest_apis import Api
from tests.e2e.emulator.signed_in import altered
from tests.e2e.emulator.socket_client import RefusedError, SocketClient

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def connect(deployed: Deployed) -> Callable[[str], SocketClient]:
    def connected(token: str) -> SocketClient:
        path = f"/_aws/execute-api/{deployed.outputs['SocketApiId']}/v1?token={token}"
        return SocketClient(deployed.emulator.endpoint, path)

    return connected


@pytest.fixture(autouse=True)
def _nobody_there(deployed: Deployed) -> None:
    """Those of other tests have left, and are taken off the roster a moment later."""
    until(lambda: not deployed.connections(), deployed.connections)


def test_without_a_good_token_nobody_is_let_in(
    connect: Callable[[str], SocketClient], deployed: Deployed, analyst: str, nobody: str
) -> None:
    for token in ("", "no.token.at-all", nobody, altered(analyst, scope="watershed/read watershed/start")):
        with pytest.raises(RefusedError):
            connect(token)
    assert deployed.connections() == []


def test_the_socket_answers_and_forgets_who_leaves(
    connect: Callable[[str], SocketClient], deployed: Deployed, analyst: str
) -> None:
    with connect(analyst) as client:
        client.say({"action": "ping"})
        assert _reply(client) == {"type": "pong"}
        client.say("what's new?")
        assert _reply(client) == {"type": "unknown"}
        (entry,) = deployed.connections()
        assert int(entry["expiresAt"]["N"]) > 1_700_000_000
    until(lambda: deployed.connections() == [])


def test_everyone_hears_how_an_export_ended(
    connect: Callable[[str], SocketClient], deployed: Deployed, analyst: str, engineer: str
) -> None:
    api = Api(deployed.emulator.endpoint, deployed.outputs["ControlApiId"])
    with connect(analyst) as one, connect(engineer) as other:
        started = api("POST", "/exports", {"name": "heard", "mode": "full"}, token=engineer)
        assert started.status == 202, started.body
        heard = [_export(client, "heard") for client in (one, other)]
    assert heard[0] == heard[1]
    assert heard[0]["status"] == "SUCCEEDED"


def test_a_connection_that_is_gone_is_forgotten_and_the_others_hear(
    connect: Callable[[str], SocketClient], deployed: Deployed, analyst: str, engineer: str
) -> None:
    """As one is whose `$disconnect` never came."""
    dynamodb = deployed.emulator.client("dynamodb")
    gone = {"connectionId": {"S": "L0SM9cOFvHcCIhw="}, "user": {"S": "u"}, "expiresAt": {"N": "9999999999"}}
    dynamodb.put_item(TableName="watershed-connections", Item=gone)
    api = Api(deployed.emulator.endpoint, deployed.outputs["ControlApiId"])
    with connect(analyst) as client:
        assert api("POST", "/exports", {"name": "left", "mode": "full"}, token=engineer).status == 202
        assert _export(client, "left")["status"] == "SUCCEEDED"
        until(lambda: gone not in deployed.connections())
        assert len(deployed.connections()) == 1


def _reply(client: SocketClient) -> Any:
    """What the client is answered; what is told to everyone, of an export that another test started, may come first."""
    while True:
        message = client.hear()
        if message["type"] not in ("export", "job", "table"):
            return message


def _export(client: SocketClient, name: str) -> dict[str, Any]:
    """The export's message; crawlers and jobs that it started may be heard as well."""
    while True:
        message = client.hear()
        if (message["type"], message.get("name")) == ("export", name):
            return dict(message)
