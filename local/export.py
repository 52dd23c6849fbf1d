"""An export, started as a person would start it: an execution of the export state machine, awaited."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import LocalError

_POLL_SECONDS = 0.3
_NOT_LANDED = re.compile(r"Export job ([0-9a-f]+) is not lost")


@dataclass(frozen=True)
class ExportEnd:
    """How an export execution ended: its name, status as Step Functions names it, and its output."""

    execution_arn: str
    status: str
    output: Mapping[str, Any]
    seconds: float


def start_export(stepfunctions: Any, machine_arn: str, request: Mapping[str, Any]) -> str:
    """Start an execution; returns its ARN."""
    name = f"manual-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"
    started = stepfunctions.start_execution(
        stateMachineArn=machine_arn, name=name, input=json.dumps(dict(request))
    )
    return str(started["executionArn"])


def await_export(
    stepfunctions: Any, execution_arn: str, note: Callable[[str], None], timeout: float = 600
) -> ExportEnd:
    """Wait for an execution's end.

    Raises
    ------
    LocalError : it failed, with its error and cause, or did not end within ``timeout`` seconds
    """
    started = time.monotonic()
    while True:
        described = stepfunctions.describe_execution(executionArn=execution_arn)
        status = described["status"]
        seconds = time.monotonic() - started
        if status == "SUCCEEDED":
            return ExportEnd(execution_arn, status, json.loads(described.get("output") or "{}"), seconds)
        if status != "RUNNING":
            raise LocalError(
                f"The export ended {status}: {described.get('error', 'no error')}: {_cause(described)}",
                _remedy(described),
            )
        if seconds > timeout:
            raise LocalError(f"The export still runs after {timeout:.0f} s.", "Look at: watershed status")
        note(f"{status.lower()} for {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def _remedy(described: Mapping[str, Any]) -> str:
    if str(described.get("cause", "")).startswith("InvalidRequest"):
        return "Nothing was exported. What each option takes: watershed export --help"
    kept = _NOT_LANDED.search(str(described.get("cause", "")))
    if kept:
        return f"Land what was exported: watershed export --redrive {kept[1]} (or export again: watershed export)"
    return "The watermark did not move, so the next export repeats it: watershed export"


def _cause(described: Mapping[str, Any]) -> str:
    cause = str(described.get("cause", ""))
    return cause if len(cause) <= 300 else cause[:300] + "…"
