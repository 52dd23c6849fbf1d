"""CloudFormation knows `AWS::ApiGatewayV2::Deployment`, which a WebSocket API needs before its stage answers:
`Ref` is the deployment's id, and any change replaces it."""

from __future__ import annotations

import json

from local.emulator.resource_types import Properties, ResourceType

_DEPLOYMENT = "AWS::ApiGatewayV2::Deployment"


def _create(_name: str, properties: Properties) -> str:
    from ministack.services import apigateway

    request = {"description": properties.get("Description", "")}
    status, _, body = apigateway._create_deployment(properties["ApiId"], request)
    if status >= 400:
        raise ValueError(f"{_DEPLOYMENT} create failed: {body!r}")
    return str(json.loads(body)["deploymentId"])


def _delete(ref: str, properties: Properties) -> None:
    from ministack.services import apigateway

    apigateway._delete_deployment(properties["ApiId"], ref)


def apply() -> None:
    ResourceType(_DEPLOYMENT, _create, _delete, id_attribute="DeploymentId").register()
