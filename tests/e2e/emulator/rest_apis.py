"""A small REST API on the emulator, and requests to it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.emulator import Emulator
from tests.conftest import PATIENCE


@dataclass(frozen=True)
class Answer:
    """A response; `body` parsed."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Api:
    """A deployed API of the emulator."""

    endpoint: str
    id: str
    stage: str = "v1"

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        media: str = "application/json",
    ) -> Answer:
        """Ask; `body` goes as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.endpoint}/restapis/{self.id}/{self.stage}/_user_request_{path}", data=data, method=method
        )
        request.add_header("Content-Type", media)
        if token:
            request.add_header("Authorization", token)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return Answer(response.status, dict(response.headers), json.loads(response.read()))
        except urllib.error.HTTPError as refusal:
            return Answer(refusal.code, dict(refusal.headers), json.loads(refusal.read() or b"null"))


def create_api(emulator: Emulator, name: str, description: Mapping[str, Any], **variables: str) -> Api:
    """Deploy an OpenAPI description as CloudFormation does."""
    template = {
        "Resources": {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": name, "Body": description}},
            "Deployment": {
                "Type": "AWS::ApiGateway::Deployment",
                "Properties": {"RestApiId": {"Ref": "Api"}},
            },
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "DeploymentId": {"Ref": "Deployment"},
                    "StageName": "v1",
                    "Variables": variables,
                },
            },
        },
        "Outputs": {"Id": {"Value": {"Ref": "Api"}}},
    }
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 1800}
    )
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return Api(emulator.endpoint, stack["Outputs"][0]["OutputValue"])
