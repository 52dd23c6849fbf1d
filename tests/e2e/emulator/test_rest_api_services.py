"""API Gateway, "AWS integrations": one call of a service, from template to template, as the integration's role."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.functions import ANY_ROLE
from tests.e2e.emulator.rest_apis import create_api

pytestmark = pytest.mark.e2e

_REQUEST = """#set($text = $util.escapeJavaScript($input.json('$')).replaceAll("\\\\'", "'"))
{"stateMachineArn": "$stageVariables.machine", "name": "$input.params('name')", "input": "$text"}"""
_STARTED = """#set($context.responseOverride.header.X-Stage = "$context.stage")
{"started": "$input.path('$.executionArn').replaceAll("^.*:", "")"}"""
_REFUSED = """#if($input.path('$.__type').contains("AlreadyExists"))
#set($context.responseOverride.status = 409)
#end
{"refused": true}"""


def _description(template: str) -> dict[str, Any]:
    integration = {
        "type": "aws",
        "httpMethod": "POST",
        "uri": "arn:aws:apigateway:us-east-1:states:action/StartExecution",
        "credentials": ANY_ROLE,
        "requestTemplates": {"application/json": template},
        "responses": {
            "default": {"statusCode": "202", "responseTemplates": {"application/json": _STARTED}},
            r"4\d{2}": {"statusCode": "400", "responseTemplates": {"application/json": _REFUSED}},
        },
    }
    responses = {"202": {"description": "so"}}
    post = {"responses": responses, "x-amazon-apigateway-integration": integration}
    return {
        "openapi": "3.0.1",
        "info": {"title": "calls", "version": "1"},
        "paths": {"/runs/{name}": {"post": post}},
    }


def test_a_service_is_called_and_its_answer_mapped(emulator: Emulator) -> None:
    states = emulator.client("stepfunctions")
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
    machine = states.create_state_machine(name="called", definition=json.dumps(definition), roleArn=ANY_ROLE)[
        "stateMachineArn"
    ]
    api = create_api(emulator, "calls", _description(_REQUEST), machine=machine)
    body = {"it's": 'a "text"', "deep": [{"ü": None}]}
    answer = api("POST", "/runs/one", body)
    assert (answer.status, answer.body, answer.headers["X-Stage"]) == (202, {"started": "one"}, "v1")
    execution = machine.replace(":stateMachine:", ":execution:") + ":one"
    assert json.loads(states.describe_execution(executionArn=execution)["input"]) == body
    other = api("POST", "/runs/one", {})
    assert (other.status, other.body) == (409, {"refused": True})
    states.stop_execution(executionArn=execution)


def test_a_template_that_cannot_be_rendered_is_an_error_of_the_api(emulator: Emulator) -> None:
    api = create_api(emulator, "broken", _description("#if(true)"))
    assert api("POST", "/runs/one", {}).status == 500
