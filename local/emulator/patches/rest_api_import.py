"""A REST API made from an OpenAPI description has all that the description says.

The emulator takes paths, methods, authorizers, and of an integration its type and URI. "OpenAPI extensions for
API Gateway": an integration's credentials, templates, responses and passthrough behavior are imported as well,
schemas become models, request bodies name theirs, request validators apply to every method or to one, and
gateway responses are customized.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_EXTENSION = "x-amazon-apigateway-"

_Spec = Mapping[str, Any]


def apply() -> None:
    from ministack.services import apigateway_v1 as gateway

    import_part = gateway._import_rest_api

    def import_whole(spec: _Spec, base_data: Any = None) -> str:
        api_id: str = import_part(spec, base_data)
        schemas = (spec.get("components") or {}).get("schemas") or {}
        for name, schema in schemas.items():
            # References are looked up in the model itself.
            whole = {**schema, "components": {"schemas": schemas}}
            gateway._create_model(api_id, {"name": name, "schema": json.dumps(whole)})
        for kind, response in (spec.get(f"{_EXTENSION}gateway-responses") or {}).items():
            gateway._put_gateway_response(api_id, kind, response)
        validators = _create_validators(api_id, spec)
        for path, method, operation in _operations(spec):
            _complete(api_id, path, method, operation, spec, validators)
        return api_id

    gateway._import_rest_api = import_whole


def _create_validators(api_id: str, spec: _Spec) -> dict[str, str]:
    """Names → ids."""
    from ministack.services import apigateway_v1 as gateway

    made = {}
    for name, checks in (spec.get(f"{_EXTENSION}request-validators") or {}).items():
        _, _, body = gateway._create_request_validator(api_id, {"name": name, **checks})
        made[name] = json.loads(body)["id"]
    return made


def _operations(spec: _Spec) -> Iterator[tuple[str, str, _Spec]]:
    from ministack.services import apigateway_v1 as gateway

    for path, item in (spec.get("paths") or {}).items():
        for method, operation in item.items():
            if method.lower() in gateway._OPENAPI_HTTP_METHODS:
                yield path, method.upper(), operation or {}


def _complete(
    api_id: str, path: str, method: str, operation: _Spec, spec: _Spec, validators: Mapping[str, str]
) -> None:
    from ministack.services import apigateway_v1 as gateway

    resource_id, resource = next(
        (id_, each) for id_, each in gateway._resources[api_id].items() if each["path"] == path
    )
    made = resource["resourceMethods"][method]
    key = f"{_EXTENSION}request-validator"
    made["requestValidatorId"] = validators.get(operation.get(key) or spec.get(key) or "")
    made["requestModels"] = {
        media: each["schema"]["$ref"].rpartition("/")[2]
        for media, each in ((operation.get("requestBody") or {}).get("content") or {}).items()
        if "$ref" in each.get("schema", {})
    }
    places = {"query": "querystring", "header": "header", "path": "path"}
    made["requestParameters"] = {
        f"method.request.{places[each['in']]}.{each['name']}": bool(each.get("required"))
        for each in operation.get("parameters") or ()
        if each.get("in") in places
    }
    integration = operation.get(f"{_EXTENSION}integration")
    if not integration:
        return
    kept = ("credentials", "requestTemplates", "requestParameters", "timeoutInMillis", "contentHandling")
    made["methodIntegration"] |= {name: integration[name] for name in kept if name in integration}
    made["methodIntegration"]["passthroughBehavior"] = integration.get(
        "passthroughBehavior", "when_no_match"
    ).upper()
    for pattern, response in (integration.get("responses") or {}).items():
        selection = "" if pattern == "default" else pattern
        gateway._put_integration_response(
            api_id, resource_id, method, response["statusCode"], {**response, "selectionPattern": selection}
        )
