"""The analysts' state machines in moto: its own interpreter runs their files, on its tables and user pools."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    _SERVICE_ERROR_NAMES,
)

from tests.aws.exports.conftest import until

MACHINES = Path(__file__).parents[3] / "infra" / "state_machines"
TABLE = "analysts"
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


@dataclass
class Office:
    """Where analysts are admitted and disabled."""

    states: Any
    dynamodb: Any
    cognito: Any
    pool: str
    machines: Mapping[str, str]

    def start(self, machine: str, given: Mapping[str, Any]) -> str:
        started = self.states.start_execution(
            stateMachineArn=self.machines[machine], name=uuid.uuid4().hex, input=json.dumps(given)
        )
        return str(started["executionArn"])

    def response(self, execution: str) -> dict[str, Any]:
        """What the execution answers, when it has ended."""

        def described() -> dict[str, Any]:
            return dict(self.states.describe_execution(executionArn=execution))

        until(lambda: described()["status"] in ENDED)
        ended = described()
        assert ended["status"] == "SUCCEEDED", ended
        return dict(json.loads(ended["output"])["response"])

    def begin(self, email: str = "roe@example.org", group: str = "analyst") -> str:
        analyst = {"email": email, "name": 'Ünal "R." O\'Roe', "group": group}
        return self.start("admit_analyst", {"analyst": analyst, "admittedBy": "boss"})

    def admit(self, email: str = "roe@example.org", group: str = "analyst") -> dict[str, Any]:
        return self.response(self.begin(email, group))

    def disable(self, number: str) -> dict[str, Any]:
        return self.response(self.start("disable_analyst", {"id": number, "disabledBy": "boss"}))

    def profiles(self) -> dict[str, dict[str, str]]:
        """Profiles by number, without type descriptors."""
        items = self.dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]
        plain = [{name: next(iter(value.values())) for name, value in item.items()} for item in items]
        return {item["id"]: item for item in plain if item["id"] != "LAST_ID"}

    def users(self) -> dict[str, dict[str, Any]]:
        """Users by name, with their attributes."""
        found = self.cognito.list_users(UserPoolId=self.pool)["Users"]
        return {
            user["Username"]: {
                "enabled": user["Enabled"],
                **{each["Name"]: each["Value"] for each in user["Attributes"]},
            }
            for user in found
        }


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    _know_cognito(monkeypatch)
    _one_call_at_a_time(monkeypatch)
    _retry_sooner(monkeypatch)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield _open_office()


def _open_office() -> Office:
    states, dynamodb, cognito = (boto3.client(name) for name in ("stepfunctions", "dynamodb", "cognito-idp"))
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    pool = cognito.create_user_pool(PoolName="p", AliasAttributes=["email"])["UserPool"]["Id"]
    for group in ("analyst", "engineer"):
        cognito.create_group(UserPoolId=pool, GroupName=group)
    machines = {}
    for name in ("admit_analyst", "disable_analyst"):
        text = (MACHINES / f"{name}.asl.json").read_text()
        text = text.replace("${AnalystsTableName}", TABLE).replace("${UserPoolId}", pool)
        assert "${" not in text
        machines[name] = states.create_state_machine(
            name=name, definition=text, roleArn="arn:aws:iam::123456789012:role/machine"
        )["stateMachineArn"]
    return Office(states, dynamodb, cognito, pool, machines)


def _know_cognito(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto calls any service of boto3, by boto3's name for it; Step Functions names Cognito as the SDK for Java
    does, in resources and in errors."""
    service = "cognitoidentityprovider"
    monkeypatch.setitem(StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES, service, "cognito-idp")
    monkeypatch.setitem(_SERVICE_ERROR_NAMES, service, "CognitoIdentityProvider")


def _one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB's transactions are serializable, one item's calls ordered; moto's interleave between threads."""
    lock = threading.RLock()

    def ordered(call: Callable[..., Any]) -> Callable[..., Any]:
        def in_turn(*given: Any, **named: Any) -> Any:
            with lock:
                return call(*given, **named)

        return in_turn

    for name in ("get_item", "delete_item", "transact_write_items"):
        monkeypatch.setattr(DynamoDBBackend, name, ordered(getattr(DynamoDBBackend, name)))


def _retry_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto waits without jitter; and here everything is quicker than on AWS."""

    def sleep(seconds: float) -> None:
        time.sleep(random.uniform(0, seconds) / 4)

    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=sleep))
