"""What an access token says: pure. Who signed it is for Cognito to tell."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any


class NoAccessError(Exception):
    """Raised when a token does not open the socket; says why, and quotes nothing of it."""


def claims_of(token: str) -> dict[str, Any]:
    """The claims in a token, unverified. Raises NoAccessError where it is none."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        raise NoAccessError("this is no token") from None
    if not isinstance(claims, dict):
        raise NoAccessError("this is no token")
    return claims


def check(claims: Mapping[str, Any], user_pool: str, scope: str) -> None:
    """That it is an access token of our pool with the scope. Raises NoAccessError."""
    if not str(claims.get("iss", "")).endswith(f"/{user_pool}"):
        raise NoAccessError("the token is of another user pool")
    if claims.get("token_use") != "access" or scope not in str(claims.get("scope", "")).split():
        raise NoAccessError("the token lacks the scope")


def token_of(event: Mapping[str, Any]) -> str:
    """The token of a `$connect` event: of the header `Authorization`, or, since a browser sets no header, of the
    query's `token`."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    query = event.get("queryStringParameters") or {}
    return str(headers.get("authorization") or query.get("token") or "").removeprefix("Bearer ")
