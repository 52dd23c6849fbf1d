"""Users of the deployed user pool, and their tokens."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.emulator.conftest import Deployed

PASSWORD = "A-long-Passw0rd-of-a-test"


def sign_in(deployed: Deployed, name: str, group: str = "") -> dict[str, Any]:
    """A user, made where there is none, of a group or of none: the tokens."""
    cognito = deployed.emulator.client("cognito-idp")
    pool = deployed.outputs["UserPoolId"]
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
    if group:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
    answer = cognito.initiate_auth(
        ClientId=deployed.outputs["UserPoolClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )
    return dict(answer["AuthenticationResult"])


def short_lived(deployed: Deployed, name: str, seconds: int = 3) -> str:
    """An access token of a user that is there, good for so long: of a client that only tests have, whose tokens
    end sooner than Cognito's may."""
    cognito = deployed.emulator.client("cognito-idp")
    made = cognito.create_user_pool_client(
        UserPoolId=deployed.outputs["UserPoolId"],
        ClientName="short-lived",
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        AccessTokenValidity=seconds,
        TokenValidityUnits={"AccessToken": "seconds"},
    )
    answer = cognito.initiate_auth(
        ClientId=made["UserPoolClient"]["ClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def altered(token: str, **changes: Any) -> str:
    """The token with other claims under its old signature."""
    header, _, signature = token.split(".")
    changed = json.dumps({**claims(token), **changes}).encode()
    return f"{header}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}.{signature}"
