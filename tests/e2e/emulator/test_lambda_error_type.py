"""AWS Lambda, "Lambda function errors in Python": an unhandled exception is answered with `errorMessage`,
`errorType`, the name of its class, and `stackTrace`. Step Functions, "Error handling": for a Lambda
function the error's name is that `errorType`, which `ErrorEquals` is matched against.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.functions import ANY_ROLE, create_function, invoke

pytestmark = pytest.mark.e2e

_SOURCE = """
class QuotaExceeded(Exception):
    pass

def handler(event, context):
    if event == "quota":
        raise QuotaExceeded("one export at a time: really")
    return {}["missing"]
"""


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    return create_function(emulator, "raises", _SOURCE)


@pytest.mark.parametrize(
    ("event", "error_type", "message"),
    [("quota", "QuotaExceeded", "one export at a time: really"), ("other", "KeyError", "'missing'")],
)
def test_the_class_is_the_error_type(
    emulator: Emulator, function: str, event: str, error_type: str, message: str
) -> None:
    reply, error = invoke(emulator, function, event)
    assert error == "Unhandled"
    assert reply["errorType"] == error_type
    assert reply["errorMessage"] == message


def test_a_state_machine_catches_it_by_name(emulator: Emulator, function: str) -> None:
    def ended(name: str) -> dict[str, Any]:
        return {"Type": "Pass", "Result": name, "End": True}

    machine: dict[str, Any] = {
        "StartAt": "Call",
        "States": {
            "Call": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": function, "Payload": "quota"},
                "Catch": [
                    {"ErrorEquals": ["KeyError"], "Next": "Wrong"},
                    {"ErrorEquals": ["QuotaExceeded"], "Next": "Right"},
                ],
                "End": True,
            },
            "Wrong": ended("wrong"),
            "Right": ended("right"),
        },
    }
    states = emulator.client("stepfunctions")
    arn = states.create_state_machine(name="catches", definition=json.dumps(machine), roleArn=ANY_ROLE)
    run = states.start_execution(stateMachineArn=arn["stateMachineArn"])["executionArn"]
    until(lambda: states.describe_execution(executionArn=run)["status"] != "RUNNING")
    assert states.describe_execution(executionArn=run)["output"] == '"right"'
