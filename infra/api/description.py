"""The OpenAPI description: for readers as it stands, for the gateway with what it calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from infra.api.operations import OPERATIONS, SCOPES, Call, Invoke, Operation
from infra.api.schemas import ANSWERS, EXECUTION_NAME, REQUESTS, reference

TEMPLATES: Final = Path(__file__).parent / "templates"

RESOURCE_SERVER: Final = "watershed"
"""Scopes are `watershed/read` and so on."""

STAGE: Final = "v1"

_SECURITY = "signedIn"
_JSON = "application/json"
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")
_PATH_PATTERNS = {
    "name": EXECUTION_NAME,
    "id": "^[A-Za-z0-9_-]{1,100}$",
}

_PROTOCOLS = {"states": ("AWSStepFunctions", "1.0"), "glue": ("AWSGlue", "1.1")}
"""How a service's actions are named in a header, and which version of AWS JSON it speaks."""

_ANY_OPERATION = {
    400: "The request does not say what it should; the message tells why",
    401: "There is no valid token, or it lacks the scope",
    429: "Too many requests; try again later",
    500: "An error of the API itself",
    502: "What is behind the API did not answer as it should",
}
_BODIES_ONLY = {415: "The body is not application/json"}


@dataclass(frozen=True)
class Wiring:
    """What the gateway calls, and as whom.

    `roles` are ARNs by the names that operations use, `functions` ARNs by folder; `user_pool` is an ARN.
    """

    region: str
    user_pool: str
    roles: Mapping[str, str]
    functions: Mapping[str, str]


def openapi(wiring: Wiring | None = None, operations: Iterable[Operation] = OPERATIONS) -> dict[str, Any]:
    """OpenAPI 3.0: with `wiring` what the gateway is made from, without it what its users read."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, wiring)
    scheme: dict[str, Any] = {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "An access token of the user pool, with the scopes that the caller's group has: "
        + "; ".join(f"`{RESOURCE_SERVER}/{name}`: {what}" for name, what in SCOPES.items()),
    }
    described: dict[str, Any] = {
        "openapi": "3.0.1",
        "info": {
            "title": "Watershed",
            "version": "1",
            "description": "Start exports and runs; see how they ended and what the tables hold.",
        },
        "paths": paths,
        "components": {"schemas": {**REQUESTS, **ANSWERS}, "securitySchemes": {_SECURITY: scheme}},
    }
    if wiring is None:
        return described
    scheme["x-amazon-apigateway-authtype"] = "cognito_user_pools"
    scheme["x-amazon-apigateway-authorizer"] = {
        "type": "cognito_user_pools",
        "providerARNs": [wiring.user_pool],
    }
    described["x-amazon-apigateway-request-validators"] = {
        "everything": {"validateRequestBody": True, "validateRequestParameters": True}
    }
    described["x-amazon-apigateway-request-validator"] = "everything"
    described["x-amazon-apigateway-gateway-responses"] = _gateway_responses()
    return described


@cache
def template(name: str) -> str:
    """A mapping template, such as `start_export.request`."""
    return (TEMPLATES / f"{name}.vtl").read_text(encoding="utf-8")


def _operation(operation: Operation, wiring: Wiring | None) -> dict[str, Any]:
    refusals = {
        **_ANY_OPERATION,
        **(_BODIES_ONLY if operation.body else {}),
        **operation.refusals,
    }
    made: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation)],
        "responses": {
            str(operation.status): _answer("It is so", operation.answer),
            **{str(status): _answer(text, "Error") for status, text in sorted(refusals.items())},
        },
    }
    if operation.body:
        made["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": reference(operation.body)}},
        }
    scope = f"{RESOURCE_SERVER}/{operation.scope}"
    if wiring is None:
        # OpenAPI 3.0 knows scopes only of OAuth's own flows.
        made |= {"description": f"Asks for the scope `{scope}`.", "security": [{_SECURITY: []}]}
    else:
        made |= {
            "security": [{_SECURITY: [scope]}],
            "x-amazon-apigateway-integration": _integration(operation, wiring),
        }
    return made


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _PATH_PATTERNS[name]},
        }
        for name in _PATH_PARAMETER.findall(path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "in": "query",
            "required": False,
            "description": each.description,
            "schema": {"type": "string", **({"enum": list(each.values)} if each.values else {})},
        }
        for each in operation.query
    ]


def _answer(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": reference(schema)}}}


def _integration(operation: Operation, wiring: Wiring) -> dict[str, Any]:
    behind = operation.behind
    if isinstance(behind, Invoke):
        arn = wiring.functions[behind.folder]
        return {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": f"arn:aws:apigateway:{wiring.region}:lambda:path/2015-03-31/functions/{arn}/invocations",
        }
    return _call(behind, operation, wiring)


def _call(behind: Call, operation: Operation, wiring: Wiring) -> dict[str, Any]:
    target, version = _PROTOCOLS[behind.service]
    return {
        "type": "aws",
        "httpMethod": "POST",
        "uri": f"arn:aws:apigateway:{wiring.region}:{behind.service}:action/{behind.action}",
        "credentials": wiring.roles[behind.role],
        # Anything but JSON is refused: without a template it would reach the service as it came.
        "passthroughBehavior": "never",
        "requestParameters": {
            "integration.request.header.Content-Type": f"'application/x-amz-json-{version}'",
            "integration.request.header.X-Amz-Target": f"'{target}.{behind.action}'",
        },
        "requestTemplates": {_JSON: template(f"{behind.request}.request")},
        # Patterns match the status that the service answered.
        "responses": {
            "default": _mapped(operation.status, template(f"{behind.response}.response")),
            r"4\d{2}": _mapped(400, template(f"{behind.error}.error")),
            r"5\d{2}": _mapped(502, template("unavailable.error")),
        },
    }


def _mapped(status: int, text: str) -> dict[str, Any]:
    return {"statusCode": str(status), "responseTemplates": {_JSON: text}}


def _gateway_responses() -> dict[str, Any]:
    """The gateway's own refusals, in the shape of all errors. These are no VTL: variables are filled in as
    they are, and `messageString` brings its own quotes."""

    def response(message: str, code: str = '"$context.error.responseType"') -> dict[str, Any]:
        body = f'{{"message": {message}, "code": {code}, "request_id": "$context.requestId"}}'
        return {"responseTemplates": {_JSON: body}}

    return {
        "DEFAULT_4XX": response("$context.error.messageString"),
        "DEFAULT_5XX": response("$context.error.messageString"),
        "BAD_REQUEST_BODY": response('"$context.error.validationErrorString"'),
        "BAD_REQUEST_PARAMETERS": response('"$context.error.validationErrorString"'),
    }


def exported() -> str:
    """The description for its users, as it lies in `docs/openapi.json`."""
    return json.dumps(openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "openapi.json").write_text(exported(), encoding="utf-8")
