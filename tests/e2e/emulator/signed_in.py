"""Users of the deployed user pool, and their tokens."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import time
from collections.abc import Iterator
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


def short_lived(deployed: Deployed, name: str, seconds: int) -> str:
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


@contextlib.contextmanager
def second_factor(deployed: Deployed, name: str) -> Iterator[str]:
    """A user, made where there is none, who is asked for the codes of an app as well: the app's secret."""
    cognito, pool = deployed.emulator.client("cognito-idp"), deployed.outputs["UserPoolId"]
    token = sign_in(deployed, name, "analyst")["AccessToken"]
    cognito.set_user_pool_mfa_config(
        UserPoolId=pool, MfaConfiguration="OPTIONAL", SoftwareTokenMfaConfiguration={"Enabled": True}
    )
    try:
        secret = str(cognito.associate_software_token(AccessToken=token)["SecretCode"])
        cognito.verify_software_token(AccessToken=token, UserCode=app_code(secret))
        yield secret
    finally:
        cognito.set_user_pool_mfa_config(UserPoolId=pool, MfaConfiguration="OFF")


def app_code(secret: str) -> str:
    """What an authenticator app shows now: RFC 6238, with its defaults."""
    counter = int(time.time()) // 30
    digest = hmac.digest(base64.b32decode(secret), counter.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 0xF
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def altered(token: str, **changes: Any) -> str:
    """The token with other claims under its old signature."""
    header, _, signature = token.split(".")
    changed = json.dumps({**claims(token), **changes}).encode()
    return f"{header}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}.{signature}"
