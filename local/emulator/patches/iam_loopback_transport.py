"""A request over the loopback counts as sent securely.

Every bucket, queue and topic refuses requests where `aws:SecureTransport` is false, as it should. The
emulator honours that where it enforces policies, and answers plain HTTP. Its requests never leave the
machine, so for them the key is true; what a policy says of real HTTP is left to the template tests.
"""

from __future__ import annotations

from typing import Any

_KEY = "aws:securetransport"


def apply() -> None:
    from ministack.core import iam_evaluator

    resolve = iam_evaluator._resolve_condition_key

    def resolve_secure(key: str, request: Any) -> Any:
        return "true" if key.lower() == _KEY else resolve(key, request)

    iam_evaluator._resolve_condition_key = resolve_secure
