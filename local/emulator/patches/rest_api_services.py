"""A REST API's integration calls an AWS service, as its role, from template to template.

The emulator knows integrations with functions and with SQS. "AWS integrations" of API Gateway: an integration
whose URI ends in `action/<Action>` sends what its request template makes of the request to the service, as the
role that its credentials name; the status of the reply chooses the integration response, whose template makes
the answer, and may set another status and headers by `$context.responseOverride`. A template that cannot be
rendered is status 500.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

_TARGETS = {
    "states": "AWSStepFunctions",
    "glue": "AWSGlue",
}
"""The JSON services that can be called, and how they name their actions."""

_JSON = "application/json"

_Reply = tuple[int, dict[str, str], bytes]


def apply() -> None:
    from ministack.services import apigateway_v1 as gateway

    invoke_function = gateway._invoke_lambda_custom_v1

    async def invoke(integration: Mapping[str, Any], *given: Any, **more: Any) -> Any:
        called = gateway._parse_service_integration_uri(integration.get("uri", ""))
        if called is None or called[2] != "action" or called[1] not in _TARGETS:
            return await invoke_function(integration, *given, **more)
        api_id, stage_name, stage, resource, path, method, headers, body, query, path_parameters = given
        claims = (more.get("authorizer_context") or {}).get("claims") or {}
        context = {
            "requestId": str(uuid.uuid4()),
            "apiId": api_id,
            "stage": stage_name,
            "path": f"/{stage_name}{path}",
            "resourcePath": resource["path"],
            "httpMethod": method,
            "authorizer": {"claims": claims},
        }
        return await _through(
            integration, called, _request(headers, query, path_parameters, context, stage), body
        )

    gateway._invoke_lambda_custom_v1 = invoke


def _request(
    headers: Mapping[str, str],
    query: Mapping[str, Any],
    path_parameters: Mapping[str, str],
    context: Mapping[str, Any],
    stage: Mapping[str, Any],
) -> Any:
    from local.emulator.mapping_template import Request

    asked = {name: value[-1] if isinstance(value, list) else value for name, value in (query or {}).items()}
    parameters = {**(headers or {}), **asked, **(path_parameters or {})}
    return Request(parameters, context, stage.get("variables") or {})


async def _through(
    integration: Mapping[str, Any], called: tuple[str, ...], request: Any, body: bytes
) -> _Reply:
    from ministack.services import apigateway_v1 as gateway

    from local.emulator.mapping_template import MappingTemplateError, render

    region, service, _, action = called
    try:
        asked = render(integration["requestTemplates"][_JSON], (body or b"").decode(), request)
        status, answered = await _call(region, service, action, asked.text, integration.get("credentials"))
        chosen = gateway._select_service_integration_response(integration, status)
        if chosen is None:
            raise MappingTemplateError(f"no integration response is for status {status}")
        template = (chosen.get("responseTemplates") or {}).get(_JSON)
        if template is None:
            return int(chosen["statusCode"]), {"Content-Type": _JSON}, answered.encode()
        answer = render(template, answered, request)
    except (MappingTemplateError, json.JSONDecodeError, KeyError):
        return 500, {"Content-Type": _JSON}, b'{"message": "Internal server error"}'
    headers = {"Content-Type": _JSON, **answer.headers}
    return answer.status or int(chosen["statusCode"]), headers, answer.text.encode()


async def _call(region: str, service: str, action: str, body: str, role: str | None) -> tuple[int, str]:
    """The service's own answer, or its refusal where the role does not allow the call."""
    from ministack import app

    if app.AUTH and not _allowed(role, service, action, json.loads(body), region):
        message = f"The role may not perform {service}:{action}"
        return 400, json.dumps({"__type": "AccessDeniedException", "message": message})
    headers = {
        "x-amz-target": f"{_TARGETS[service]}.{action}",
        "content-type": "application/x-amz-json-1.1",
        "host": f"{service}.{region}.amazonaws.com",
    }
    handler: Callable[..., Any] = app.SERVICE_HANDLERS[service]
    status, _, answered = await handler("POST", "/", headers, body.encode(), {})
    return status, answered.decode() if isinstance(answered, bytes) else answered


def _allowed(role: str | None, service: str, action: str, asked: Mapping[str, Any], region: str) -> bool:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id

    account = get_account_id()
    name = (role or "").rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/BackplaneAssumeRoleSession",
        principal_type="AssumedRole",
        principal_account=account,
        action=f"{service}:{action}",
        resource_arn=_resource(service, asked, region, account),
        region=region,
    )
    policies = iam_evaluator._gather_role_policies(name, account)
    return bool(iam_evaluator.evaluate(context, policies).decision == "Allow")


def _resource(service: str, asked: Mapping[str, Any], region: str, account: str) -> str:
    """What the call is about, as policies name it."""
    if service == "glue":
        return f"arn:aws:glue:{region}:{account}:workflow/{asked.get('Name')}"
    return str(asked.get("stateMachineArn") or asked.get("executionArn") or "*")
