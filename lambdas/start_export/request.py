"""What a start message asks, and what follows from it: pure."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from lambdas.shared.export_state import iso

_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_JOB_ID: Final = re.compile(r"[0-9a-f]{32}")
MODES: Final = ("incremental", "full")
MAX_ATTEMPTS: Final = 20
"""With the delays below about an hour and a half: longer than the exports that may be queued ahead."""


class InvalidRequestError(Exception):
    """Raised when a run was asked for something that cannot be; says which option, and what it takes."""


@dataclass(frozen=True)
class StartRequest:
    """A start message. Times are ISO 8601 or empty; `attempt` counts from 0.

    `last_run_time` is the watermark, `since` an override of it, `started_at` when the run began. `redrive`
    is the id of an export that has ended and is to be landed, in place of a new one.
    """

    task_token: str
    execution_arn: str
    mode: str
    types: tuple[str, ...]
    since: str
    accept_errors: bool
    last_run_time: str
    attempt: int
    started_at: str = ""
    redrive: str = ""

    @property
    def moves_watermark(self) -> bool:
        """A run that was told to leave something out says nothing about what it left out."""
        return not self.types and not self.since

    @property
    def name(self) -> str:
        """The export's name in HealthLake (at most 64 characters): one per execution."""
        return "watershed-" + hashlib.sha256(self.execution_arn.encode()).hexdigest()[:40]


def read_message(body: str) -> StartRequest:
    """A start message as the state machine sends it. Raises ValueError, KeyError where it is none."""
    message: dict[str, Any] = json.loads(body)
    options: Mapping[str, Any] = message["options"]
    return StartRequest(
        task_token=message["taskToken"],
        execution_arn=message["executionArn"],
        mode=options.get("mode") or "incremental",
        types=tuple(options.get("types") or ()),
        since=options.get("since") or "",
        accept_errors=bool(options.get("acceptErrors", False)),
        last_run_time=message.get("lastRunTime") or "",
        attempt=int(message.get("attempt", 0)),
        started_at=message.get("startedAt") or "",
        redrive=options.get("redrive") or "",
    )


def export_since(request: StartRequest, overlap: timedelta) -> str:
    """The `_since` of the export, empty for everything. Raises InvalidRequestError.

    The overlap covers writes that were stamped before the last run began and became visible after it had
    read their type. What it exports again changes nothing downstream.
    """
    if request.mode not in MODES:
        raise InvalidRequestError(f"mode is {request.mode!r}; it takes {' or '.join(MODES)}")
    if any(not isinstance(name, str) or not _TYPE.fullmatch(name) for name in request.types):
        raise InvalidRequestError("types takes a list of FHIR resource types, such as ['Patient']")
    if request.redrive:
        if not _JOB_ID.fullmatch(request.redrive):
            raise InvalidRequestError("redrive takes the id of an export job, 32 hexadecimal digits")
        if request.types or request.since or request.mode != "incremental":
            raise InvalidRequestError("redrive lands an export as it was asked for; leave the others out")
    if request.mode == "full":
        if request.since:
            raise InvalidRequestError("mode full exports everything; leave since out")
        return ""
    if request.since:
        return iso(_moment("since", request.since))
    if not request.last_run_time:
        return ""
    return iso(_moment("lastRunTime", request.last_run_time) - overlap)


def retry_delay(attempt: int, chance: random.Random) -> int:
    """Seconds to wait before the next attempt: doubling from 5 to 300, the upper half by chance."""
    full = min(300, 5 << min(attempt, 10))
    return full // 2 + chance.randint(0, full - full // 2)


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidRequestError(f"{name} takes an instant with a zone, such as 2026-01-31T00:00:00Z")
    return moment
