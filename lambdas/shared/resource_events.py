"""Telling subscribers of resources: an event each on a bus of their own, never with content.

Source `watershed.fhir`; `Resource Changed` or `Resource Deleted`. At least once: who repeats, tells again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE: Final = "watershed.fhir"
CHANGED: Final = "Resource Changed"
DELETED: Final = "Resource Deleted"
BATCH: Final = 10
"""PutEvents takes ten entries; ten of these stay far below its 256 KB."""
_ATTEMPTS: Final = 5

Event = tuple[str, dict[str, Any]]
"""Detail type and detail."""


class UnpublishedEventsError(Exception):
    """Raised when EventBridge did not take events in several attempts; says how many."""


@dataclass(frozen=True)
class ResourceEvents:
    """The event bus; an empty `bus` publishes nothing."""

    events: EventBridgeClient
    bus: str
    pause: Callable[[float], None] = time.sleep

    def publish(self, found: Iterable[Event]) -> int:
        """Publish events, taken ten at a time; how many. Raises UnpublishedEventsError."""
        if not self.bus:
            return 0
        waiting, published = iter(found), 0
        while batch := list(islice(waiting, BATCH)):
            self._put(batch)
            published += len(batch)
        return published

    def _put(self, batch: list[Event]) -> None:
        """Send what is left again and again: of ten entries any may be refused."""
        for attempt in range(_ATTEMPTS):
            reply = self.events.put_events(
                Entries=[
                    {
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail),
                        "EventBusName": self.bus,
                    }
                    for detail_type, detail in batch
                ]
            )
            batch = [
                event for event, entry in zip(batch, reply["Entries"], strict=True) if "ErrorCode" in entry
            ]
            if not batch:
                return
            self.pause(0.2 * 2**attempt)
        raise UnpublishedEventsError(f"{len(batch)} events were refused {_ATTEMPTS} times")
