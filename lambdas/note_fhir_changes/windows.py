"""From CloudTrail's events to searches: which window of time a call belongs to. Pure.

All calls on a type that are noticed within one window lead to one search, however many they are. The search
begins where the earliest of them happened, for CloudTrail's events come minutes late and out of order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lambdas.shared.fhir_change import TYPE, moment

CHANGE: Final = "change"
DELETE: Final = "delete"
_KINDS: Final = {
    "CreateResource": CHANGE,
    "UpdateResource": CHANGE,
    "PatchResource": CHANGE,
    "DeleteResource": DELETE,
}


class NotACallError(Exception):
    """Raised when a message is no CloudTrail event of a FHIR call; says what is missing."""


@dataclass(frozen=True)
class Call:
    """A call that changed something: on which type, and when."""

    kind: str
    resource_type: str
    at: datetime


@dataclass(frozen=True)
class Lengths:
    """`window`: how long calls are gathered; `settle`: how long after that the search waits.

    Of a change, `settle` is the time that HealthLake's index may lag. Of a deletion, it must exceed the
    margin by which the listing reaches back (`find_fhir_changes`), so that the listing judges them all.
    """

    window: timedelta
    settle: timedelta


@dataclass(frozen=True)
class Window:
    """The search that calls lead to: its execution's name, when it runs, and what it reaches back to."""

    kind: str
    resource_type: str
    begins: datetime
    run_at: datetime
    since: datetime

    @property
    def name(self) -> str:
        """One per kind, type and window: Step Functions starts an execution of a name once."""
        return f"{self.kind}-{self.resource_type}-{round(self.begins.timestamp() * 1000)}"


def read_call(body: str, datastore_id: str) -> Call | None:
    """The call that an EventBridge event tells of; None for what changed nothing or is another's.

    Raises
    ------
    NotACallError : the message is no such event
    """
    try:
        detail: dict[str, Any] = json.loads(body)["detail"]
        asked = detail.get("requestParameters") or {}
        if detail.get("errorCode") or asked.get("datastoreId") != datastore_id:
            return None
        kind = _KINDS.get(detail["eventName"])
        resource_type, at = asked["resourceType"], moment(detail["eventTime"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotACallError("no CloudTrail event of a FHIR call") from None
    if kind is None:
        return None
    if at is None or not isinstance(resource_type, str) or not TYPE.fullmatch(resource_type):
        raise NotACallError("a FHIR call without its time or type")
    return Call(kind, resource_type, at)


def windows(calls: Iterable[Call], noticed: datetime, lengths: dict[str, Lengths]) -> list[Window]:
    """The windows of calls that are noticed now; each kind and type once, since the earliest call."""
    earliest: dict[tuple[str, str], datetime] = {}
    for call in calls:
        key = (call.kind, call.resource_type)
        earliest[key] = min(call.at, earliest.get(key, call.at))
    return [
        _window(kind, resource_type, noticed, lengths[kind], since)
        for (kind, resource_type), since in sorted(earliest.items())
    ]


def _window(kind: str, resource_type: str, noticed: datetime, lengths: Lengths, since: datetime) -> Window:
    epoch = datetime.fromtimestamp(0, UTC)
    begins = noticed - (noticed - epoch) % lengths.window
    return Window(kind, resource_type, begins, begins + lengths.window + lengths.settle, since)
