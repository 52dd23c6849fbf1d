"""Step Functions, "AWS SDK service integrations": Cognito's actions, and its errors by their names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.functions import ANY_ROLE

pytestmark = pytest.mark.e2e


def test_a_user_is_created_and_a_second_one_refused_by_name(emulator: Emulator) -> None:
    cognito, states = emulator.client("cognito-idp"), emulator.client("stepfunctions")
    pool = cognito.create_user_pool(PoolName="called")["UserPool"]["Id"]
    create = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:cognitoidentityprovider:adminCreateUser",
        "Parameters": {"UserPoolId": pool, "Username": "7"},
        "Catch": [{"ErrorEquals": ["CognitoIdentityProvider.UsernameExistsException"], "Next": "There"}],
        "End": True,
    }
    definition = {"StartAt": "Create", "States": {"Create": create, "There": {"Type": "Pass", "Result": "there", "End": True}}}  # fmt: skip
    machine = states.create_state_machine(
        name="calls-cognito", definition=json.dumps(definition), roleArn=ANY_ROLE
    )["stateMachineArn"]

    def output() -> Any:
        run = states.start_execution(stateMachineArn=machine)["executionArn"]
        until(lambda: states.describe_execution(executionArn=run)["status"] != "RUNNING")
        ended = states.describe_execution(executionArn=run)
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])

    assert output()["User"]["Username"] == "7"
    assert output() == "there"
