"""CloudFormation, "AWS::ApiGatewayV2::Deployment": made with the stack, gone with it."""

from __future__ import annotations

import json

import pytest

from local.emulator import Emulator

pytestmark = pytest.mark.e2e


def test_a_deployment_is_made_and_removed_with_its_stack(emulator: Emulator) -> None:
    cloudformation, apis = emulator.client("cloudformation"), emulator.client("apigatewayv2")
    template = {
        "Resources": {
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {
                    "Name": "socket",
                    "ProtocolType": "WEBSOCKET",
                    "RouteSelectionExpression": "$request.body.action",
                },
            },
            "Deployment": {
                "Type": "AWS::ApiGatewayV2::Deployment",
                "Properties": {"ApiId": {"Ref": "Api"}},
            },
        },
        "Outputs": {"Api": {"Value": {"Ref": "Api"}}, "Deployment": {"Value": {"Ref": "Deployment"}}},
    }
    cloudformation.create_stack(StackName="socket", TemplateBody=json.dumps(template))
    wait = {"Delay": 0.1, "MaxAttempts": 1800}
    cloudformation.get_waiter("stack_create_complete").wait(StackName="socket", WaiterConfig=wait)
    (stack,) = cloudformation.describe_stacks(StackName="socket")["Stacks"]
    made = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    (deployment,) = apis.get_deployments(ApiId=made["Api"])["Items"]
    assert deployment["DeploymentId"] == made["Deployment"]
    cloudformation.delete_stack(StackName="socket")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="socket", WaiterConfig=wait)
    assert made["Api"] not in [each["ApiId"] for each in apis.get_apis()["Items"]]
