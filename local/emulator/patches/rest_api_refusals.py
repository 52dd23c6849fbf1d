"""A refused request's body says why.

Where a body does not fit its model, `$context.error.validationErrorString` of a gateway response tells what is
wrong with it ("$context variables" of API Gateway), and a body of a media type that has no model is held to none
("Request validation"). The emulator leaves the variable as it stands, and holds every body to the model of JSON.
The words are not AWS's: they are those of another validator.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_JSON = "application/json"
_VARIABLE = "$context.error.validationErrorString"


def apply() -> None:
    from ministack.services import apigateway_v1 as gateway

    check: Callable[..., Any] = gateway._check_request_validation
    answer: Callable[..., Any] = gateway._gateway_error_response

    def check_and_say(
        method: dict[str, Any], api_id: str, request: Any, headers: Any, body: bytes, query: Any
    ) -> Any:
        error = check(method, api_id, request, headers, body, query)
        if error is None:
            return None
        error.reason = error.message
        if error.response_type == "BAD_REQUEST_BODY":
            media = (gateway._header_ci(headers, "content-type") or _JSON).partition(";")[0].strip()
            model = (method.get("requestModels") or {}).get(media)
            if model is None:
                return None
            error.reason = _reasons(gateway._model_schema(api_id, model), body)
        return error

    def answer_with_reason(error: Any, request: Any) -> Any:
        status, headers, body = answer(error, request)
        reason = json.dumps(getattr(error, "reason", ""))[1:-1]
        return status, headers, body.replace(_VARIABLE.encode(), reason.encode())

    gateway._check_request_validation = check_and_say
    gateway._gateway_error_response = answer_with_reason


def _reasons(schema: Any, body: bytes) -> str:
    from jsonschema import Draft4Validator

    try:
        document = json.loads(body or b"")
    except ValueError:
        return "[the body is not JSON]"
    found = sorted(error.message for error in Draft4Validator(schema).iter_errors(document))
    return f"[{', '.join(found)}]"
