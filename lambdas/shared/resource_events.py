"""Telling subscribers of changed resources: type, id, version and kind of change; nothing of the content."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lambdas.shared.fhir_change import FhirChange

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE: Final = "watershed.fhir"
CHANGED: Final = "Resource Changed"
DELETED: Final = "Resource Deleted"
BATCH: Final = 10
"""PutEvents takes ten entries; ten of these stay far below its 256 KB."""
_ATTEMPTS: Final = 5


class UnpublishedChangesError(Exception):
    """Raised when EventBridge did not take events in several attempts; says how many."""


@dataclass(frozen=True)
class ResourceEvents:
    """The event bus; an empty `bus` publishes nothing."""

    events: EventBridgeClient
    bus: str
    pause: Callable[[float], None] = time.sleep

    def publish(self, changes: Sequence[FhirChange]) -> int:
        """Publish one event per change; how many. Raises UnpublishedChangesError."""
        if not self.bus:
            return 0
        for start in range(0, len(changes), BATCH):
            self._put([self._entry(change) for change in changes[start : start + BATCH]])
        return len(changes)

    def _entry(self, change: FhirChange) -> PutEventsRequestEntryTypeDef:
        detail: dict[str, Any] = {
            "resourceType": change.resource_type,
            "id": change.id,
            "versionId": change.version_id or None,
            "lastUpdated": change.last_updated or None,
            "change": change.kind,
        }
        return {
            "Source": SOURCE,
            "DetailType": DELETED if change.deleted else CHANGED,
            "Detail": json.dumps(detail),
            "EventBusName": self.bus,
        }

    def _put(self, entries: list[PutEventsRequestEntryTypeDef]) -> None:
        """Send what is left again and again: of ten entries any may be refused."""
        for attempt in range(_ATTEMPTS):
            reply = self.events.put_events(Entries=entries)
            entries = [
                entry
                for entry, answer in zip(entries, reply["Entries"], strict=True)
                if "ErrorCode" in answer
            ]
            if not entries:
                return
            self.pause(0.2 * 2**attempt)
        raise UnpublishedChangesError(f"{len(entries)} events were refused {_ATTEMPTS} times")
