"""The socket's own routes: who comes, who leaves, and what they say.

`$connect` is refused with 401 unless there is an access token of the user pool with the scope; Cognito's
`GetUser` verifies signature, time and revocation. `$disconnect` takes the connection off the roster.
`$default` is all that a client says: `{"action": "ping"}` is answered with `{"type": "pong"}`, and everything
else with `{"type": "unknown"}`, for this socket tells and does not listen.

Environment: CONNECTIONS_TABLE, USER_POOL_ID, SCOPE.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError, ParamValidationError

from lambdas.keep_roster.token import NoAccessError, check, claims_of, token_of
from lambdas.shared.logger import make_logger
from lambdas.shared.sockets import Roster, Sockets, make_roster, make_sockets
from lambdas.shared.surroundings import setting

logger = make_logger("keep_roster", "route", "connection", "refused")


@dataclass(frozen=True)
class Door:
    """Keeps the roster; its parts are passed in so that tests can choose them."""

    cognito: Any
    roster: Roster
    user_pool: str
    scope: str
    sockets: Callable[[str, str], Sockets] = make_sockets

    def connect(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Let in whoever has a good token."""
        connection = event["requestContext"]["connectionId"]
        try:
            claims = self._claims(token_of(event))
        except NoAccessError as refusal:
            logger.info("refused", connection=connection, refused=str(refusal))
            return {"statusCode": 401}
        self.roster.add(connection, str(claims["sub"]), int(claims["exp"]))
        return {"statusCode": 200}

    def disconnect(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Forget whoever left."""
        self.roster.remove(event["requestContext"]["connectionId"])
        return {"statusCode": 200}

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what was said."""
        context = event["requestContext"]
        reply = {"type": "pong"} if _is_ping(event.get("body") or "") else {"type": "unknown"}
        sockets = self.sockets(context["apiId"], context["stage"])
        sockets.post(context["connectionId"], json.dumps(reply).encode())
        return {"statusCode": 200}

    def _claims(self, token: str) -> dict[str, Any]:
        claims = claims_of(token)
        check(claims, self.user_pool, self.scope)
        try:
            self.cognito.get_user(AccessToken=token)
        except (ClientError, ParamValidationError):
            raise NoAccessError("Cognito does not know the token, or no longer") from None
        return claims


def _is_ping(body: str) -> bool:
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("action") == "ping"


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda's entry."""
    door = make_door()
    routes = {"$connect": door.connect, "$disconnect": door.disconnect}
    return routes.get(event["requestContext"]["routeKey"], door.answer)(event)


@cache
def make_door() -> Door:
    """The door that the environment describes; kept while the function is warm."""
    return Door(boto3.client("cognito-idp"), make_roster(), setting("USER_POOL_ID"), setting("SCOPE"))
