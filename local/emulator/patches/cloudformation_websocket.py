"""CloudFormation knows `AWS::ApiGatewayV2::Deployment`.

The emulator's API Gateway has deployments, but its CloudFormation refuses a whole template that names one; a
WebSocket API needs one before its stage answers. On AWS, `Ref` of it is its id, and every change replaces it.
"""

from __future__ import annotations

import json
from typing import Any

_DEPLOYMENT = "AWS::ApiGatewayV2::Deployment"

_Properties = dict[str, Any]
_Made = tuple[str, _Properties]


def _create(_logical_id: str, properties: _Properties, _stack_name: str) -> _Made:
    from ministack.services import apigateway

    request = {"description": properties.get("Description", "")}
    status, _, body = apigateway._create_deployment(properties["ApiId"], request)
    if status >= 400:
        raise ValueError(f"{_DEPLOYMENT} create failed: {body!r}")
    made = json.loads(body)["deploymentId"]
    return made, {"DeploymentId": made}


def _update(_physical_id: str, _old: _Properties, new: _Properties, stack_name: str) -> _Made:
    return _create("", new, stack_name)


def _delete(physical_id: str, properties: _Properties) -> None:
    from ministack.services import apigateway

    apigateway._delete_deployment(properties["ApiId"], physical_id)


def apply() -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[_DEPLOYMENT] = {
        "create": _create,
        "update": _update,
        "delete": _delete,
    }
