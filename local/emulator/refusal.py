"""What the emulator answers to a request that it refuses, in the shape of the AWS JSON protocol."""

from __future__ import annotations

from typing import Any


def refusal(code: str, message: str, status: int = 400) -> Any:
    """An error of the API: its exception's name, a text, and the HTTP status."""
    # The emulator is imported by its own process alone.
    from ministack.core.responses import error_response_json

    return error_response_json(code, message, status)
