"""A failed Python function reports its exception's class as `errorType`.

AWS Lambda answers an unhandled Python exception with `{"errorMessage", "errorType", "requestId",
"stackTrace"}` where `errorType` is the name of the exception's class, and Step Functions matches `Retry`
and `Catch` against that name. The emulator says `Runtime.HandlerError` for every exception, so a state
machine's own error names would never match.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_ERROR_REPLY = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
_TYPED_REPLY = (
    '{"status": "error", "error": str(e), "error_type": type(e).__name__, "trace": traceback.format_exc()}'
)
_UNTYPED = "Runtime.HandlerError"


def apply() -> None:
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    script: str = lambda_runtime._PYTHON_WORKER_SCRIPT
    if script.count(_ERROR_REPLY) != 1:
        raise RuntimeError(
            "lambda_error_type does not fit this release of the emulator: pin ministack==1.5.33"
        )
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(_ERROR_REPLY, _TYPED_REPLY)

    # The reply passes through Worker.invoke, and is reduced to a message by the function that called it, on
    # the same thread: so the class name waits here in between.
    last = threading.local()
    invoke: Callable[..., dict[str, Any]] = lambda_runtime.Worker.invoke
    execute: Callable[..., dict[str, Any]] = lambda_svc._execute_function_warm

    def typed_invoke(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        reply = invoke(self, *args, **kwargs)
        last.error_type = reply.get("error_type")
        return reply

    def typed_execute(*args: Any, **kwargs: Any) -> dict[str, Any]:
        last.error_type = None
        result = execute(*args, **kwargs)
        body = result.get("body")
        if last.error_type and isinstance(body, dict) and body.get("errorType") == _UNTYPED:
            body["errorType"] = last.error_type
        return result

    lambda_runtime.Worker.invoke = typed_invoke
    lambda_svc._execute_function_warm = typed_execute
