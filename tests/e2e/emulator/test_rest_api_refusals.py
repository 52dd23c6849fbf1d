"""API Gateway, "Variables for access logging and mapping templates": a validation error says what is wrong."""

from __future__ import annotations

import pytest

from infra.api.description import Wiring, openapi
from infra.api.operations import OPERATIONS, Call
from local.emulator import Emulator
from tests.e2e.emulator.rest_apis import create_api

pytestmark = pytest.mark.e2e


def test_a_body_that_does_not_fit_is_refused_with_the_reason(emulator: Emulator) -> None:
    roles = {each.behind.role: "" for each in OPERATIONS if isinstance(each.behind, Call)}
    started = [each for each in OPERATIONS if each.id == "startExport"]
    description = openapi(Wiring("us-east-1", "", roles, {}), started)
    for method in description["paths"]["/exports"].values():
        del method["security"]
    api = create_api(emulator, "refusing", description)
    refused = api("POST", "/exports", {"mode": 'say "all"', "sinc": 1})
    assert refused.status == 400
    assert refused.body["code"] == "BAD_REQUEST_BODY"
    assert 'say "all"' in refused.body["message"]
    assert "sinc" in refused.body["message"]
    assert api("POST", "/exports", b"{").body["message"] == "[the body is not JSON]"
