"""API Gateway, "Working with API Gateway extensions to OpenAPI": what a description says is what the API does."""

from __future__ import annotations

from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.rest_apis import create_api

pytestmark = pytest.mark.e2e

_REPLY = {
    "type": "mock",
    "requestTemplates": {"application/json": '{"statusCode": 200}'},
    "passthroughBehavior": "never",
    "responses": {
        "default": {"statusCode": "200", "responseTemplates": {"application/json": '{"it": "is"}'}}
    },
}
_DESCRIPTION: dict[str, Any] = {
    "openapi": "3.0.1",
    "info": {"title": "imported", "version": "1"},
    "paths": {
        "/things": {
            "post": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                },
                "responses": {"200": {"description": "so"}},
                "x-amazon-apigateway-integration": _REPLY,
            },
            "get": {
                "parameters": [{"name": "of", "in": "query", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "so"}},
                "x-amazon-apigateway-integration": _REPLY,
            },
        }
    },
    "components": {
        "schemas": {
            "Thing": {"type": "object", "properties": {"parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}}}},
            "Part": {"type": "object", "required": ["name"]},
        }
    },
    "x-amazon-apigateway-request-validators": {
        "all": {"validateRequestBody": True, "validateRequestParameters": True}
    },
    "x-amazon-apigateway-request-validator": "all",
    "x-amazon-apigateway-gateway-responses": {
        "BAD_REQUEST_BODY": {"responseTemplates": {"application/json": '{"refused": "$context.error.message"}'}},
        "UNSUPPORTED_MEDIA_TYPE": {"statusCode": "499"},
    },
}  # fmt: skip


def test_models_validators_templates_and_gateway_responses_are_imported(emulator: Emulator) -> None:
    api = create_api(emulator, "imported", _DESCRIPTION)
    assert api("POST", "/things", {"parts": [{"name": "a"}]}).body == {"it": "is"}
    refused = api("POST", "/things", {"parts": [{}]})
    assert (refused.status, refused.body) == (400, {"refused": "Invalid request body"})
    assert api("GET", "/things?of=x").status == 200
    assert "of" in api("GET", "/things").body["message"]
    assert api("POST", "/things", b"<a/>", media="text/xml").status == 499
