"""Signed HTTP to HealthLake's FHIR REST API, and what its refusals mean.

boto3's HealthLake client cannot pass `_since` or `_type` to an export; only the REST operation takes
them, so requests are signed here (SigV4, service `healthlake`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_TIMEOUT: Final = urllib3.Timeout(connect=3, read=15)
_LOST: Final = (urllib3.exceptions.TimeoutError, urllib3.exceptions.HTTPError)
_THROTTLES: Final = ("throttl", "toomanyrequests", "limitexceeded", "provisionedthroughput")


class HealthLakeError(Exception):
    """HealthLake did not do what was asked. `name` is the service's name for it, `status` the HTTP one.

    The message never holds the service's own text, which may quote the request.
    """

    def __init__(self, operation: str, status: int, name: str) -> None:
        self.operation, self.status, self.name = operation, status, name
        super().__init__(f"HealthLake {operation}: {name} (HTTP {status or 'none'}). {self.remedy}")

    remedy = ""


class HealthLakeThrottledError(HealthLakeError):
    """Raised when a quota or a rate refused the call; it had no effect. Try again later."""

    remedy = "A quota or rate is used up; the call is tried again later."


class HealthLakeUnavailableError(HealthLakeError):
    """Raised when the service failed or the reply was lost: the call *may* have taken effect."""

    remedy = "The service failed or its reply was lost; the call is tried again later."


class HealthLakeRefusedError(HealthLakeError):
    """Raised when the call is wrong and would be so again: not allowed, not found, not valid."""

    remedy = "Check the function's permissions, the data store's id, and the request."


@dataclass(frozen=True)
class HttpReply:
    """Status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body parsed. Raises ValueError."""
        return json.loads(self.body)


@dataclass(frozen=True)
class SignedHttp:
    """A connection to one HealthLake endpoint. `endpoint` has no trailing slash."""

    endpoint: str
    region: str
    credentials: Credentials
    pool: urllib3.PoolManager

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HttpReply:
        """One request, never repeated here. Raises the HealthLakeError that fits."""
        request = AWSRequest(
            method=method,
            url=self.endpoint + path,
            data=body,
            headers={"Host": urlsplit(self.endpoint).netloc, **(headers or {})},
        )
        SigV4Auth(self.credentials, "healthlake", self.region).add_auth(request)
        try:
            reply = self.pool.request(
                method,
                self.endpoint + path,
                body=body or None,
                headers=dict(request.headers.items()),
                timeout=_TIMEOUT,
                retries=False,
            )
        except _LOST as error:
            raise HealthLakeUnavailableError(operation, 0, type(error).__name__) from None
        received = HttpReply(
            reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.data
        )
        if received.status >= 300:
            raise refusal(operation, received)
        return received


def refusal(operation: str, reply: HttpReply) -> HealthLakeError:
    """The error that a reply stands for. HealthLake answers throttling with HTTP 400, so names decide."""
    name = _error_name(reply)
    plain = name.lower().replace("_", "").replace("-", "")
    if reply.status == 429 or any(word in plain for word in _THROTTLES):
        return HealthLakeThrottledError(operation, reply.status, name)
    if reply.status >= 500:
        return HealthLakeUnavailableError(operation, reply.status, name)
    return HealthLakeRefusedError(operation, reply.status, name)


def _error_name(reply: HttpReply) -> str:
    named = reply.headers.get("x-amzn-errortype", "")
    if not named:
        try:
            body = reply.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            issues = body.get("issue") or [{}]
            first = issues[0] if isinstance(issues, list) and isinstance(issues[0], dict) else {}
            named = body.get("__type") or body.get("code") or first.get("code") or ""
    # `namespace#Name:uri` in some protocols; letters only, so that no text of a reply gets through.
    name = str(named).rpartition("#")[2].partition(":")[0]
    return name if name and len(name) <= 64 and name.replace("-", "").isalnum() else "UnknownError"
