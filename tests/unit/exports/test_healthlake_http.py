"""What HealthLake's refusals mean."""

from __future__ import annotations

import json

import pytest
import urllib3
from botocore.credentials import Credentials

from lambdas.shared.healthlake_http import (
    HealthLakeError,
    HealthLakeRefusedError,
    HealthLakeThrottledError,
    HealthLakeUnavailableError,
    HttpReply,
    SignedHttp,
    refusal,
)

THROTTLED, REFUSED = HealthLakeThrottledError, HealthLakeRefusedError
UNAVAILABLE = HealthLakeUnavailableError
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"code": "throttled", "diagnostics": "Jane Doe"}]}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "name"),
    [
        (400, {}, {"__type": "ThrottlingException"}, THROTTLED, "ThrottlingException"),
        (400, {"x-amzn-errortype": "ThrottlingException:http://x/"}, {}, THROTTLED, "ThrottlingException"),
        (400, {}, {"__type": "amazonaws.x#ThrottlingException"}, THROTTLED, "ThrottlingException"),
        (429, {}, None, THROTTLED, "UnknownError"),
        (400, {}, OUTCOME, THROTTLED, "throttled"),
        (400, {}, {"__type": "ValidationException"}, REFUSED, "ValidationException"),
        (403, {}, {"message": "no"}, REFUSED, "UnknownError"),
        (404, {}, {"__type": "ResourceNotFoundException"}, REFUSED, "ResourceNotFoundException"),
        (500, {}, {"__type": "InternalServerException"}, UNAVAILABLE, "InternalServerException"),
        (503, {}, None, UNAVAILABLE, "UnknownError"),
        (400, {}, {"__type": "Jane Doe, born 1970"}, REFUSED, "UnknownError"),
        (400, {}, {"issue": "odd"}, REFUSED, "UnknownError"),
    ],
)  # fmt: skip
def test_a_refusal_is_known_by_its_name(
    status: int, headers: dict[str, str], body: object, kind: type[HealthLakeError], name: str
) -> None:
    content = json.dumps(body).encode() if body is not None else b"<html>"
    error = refusal("op", HttpReply(status, headers, content))
    assert type(error) is kind
    assert error.name == name
    assert "Jane" not in str(error)


def test_a_connection_that_fails_may_have_taken_effect() -> None:
    http = SignedHttp("http://127.0.0.1:1", "us-east-1", Credentials("a", "b"), urllib3.PoolManager())
    with pytest.raises(HealthLakeUnavailableError):
        http.call("op", "GET", "/")
