"""Small functions for the emulator, from source text."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from local.emulator import Emulator

ANY_ROLE = "arn:aws:iam::000000000000:role/any"


def create_function(
    emulator: Emulator,
    name: str,
    source: str,
    role: str = ANY_ROLE,
    environment: dict[str, str] | None = None,
) -> str:
    """Deploy `source`, which has a `handler`, and return the function's ARN."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("code.py", source)
    made = emulator.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="code.handler",
        Role=role,
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
        Environment={"Variables": environment or {}},
    )
    return str(made["FunctionArn"])


def invoke(emulator: Emulator, name: str, event: object = None) -> tuple[Any, str | None]:
    """What the function answers, and whether Lambda calls that an error."""
    reply = emulator.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(reply["Payload"].read()), reply.get("FunctionError")
