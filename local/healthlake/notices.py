"""What the simulator tells of changes: CloudTrail's events of calls, and notifications of subscriptions."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lambdas.shared import fhir_text
from local.healthlake.clock import instant, now_ms
from local.healthlake.store import Store, Version, Window

Notify = Callable[[str, Mapping[str, object]], object]
"""Called with the name of an event bus and the notification."""
Trail = Callable[[Mapping[str, object]], object]
"""Called with the detail of an event of CloudTrail."""
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
_NAMES: Final = {"POST": "CreateResource", "PUT": "UpdateResource", "DELETE": "DeleteResource"}
_INTERACTIONS: Final = {"POST": "create", "PUT": "update", "DELETE": "delete"}
PAYLOAD_CONTENT: Final = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
)
_OWN: Final = frozenset({"Subscription", "SubscriptionTopic"})


def call_event(method: str, resource_type: str, status: int, datastore_id: str) -> dict[str, object]:
    """The detail of `AWS API Call via CloudTrail` for one call on one resource; its id stays hidden."""
    return {
        "eventVersion": "1.08",
        "eventSource": "healthlake.amazonaws.com",
        "eventName": _NAMES[method],
        # To the second, as CloudTrail's are.
        "eventTime": instant(now_ms() // 1000 * 1000).replace(".000Z", "Z"),
        "requestParameters": {
            "datastoreId": datastore_id,
            "resourceType": resource_type,
            "resourceId": HIDDEN,
        },
        "responseElements": {"statusCode": status},
        "requestID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": False,
    }


@dataclass(frozen=True)
class _Subscription:
    id: str
    endpoint: str
    full_resource: bool
    triggers: frozenset[tuple[str, str]]
    """(resource type, interaction)."""


class Subscriptions:
    """Notifies what the `Subscription`s in the store ask for, through whatever call a change came."""

    def __init__(self, store: Store, notify: Notify) -> None:
        self._store, self._notify = store, notify
        self._lock = threading.Lock()
        self._count: dict[str, int] = {}

    def changed(self, version: Version) -> None:
        """A version was committed."""
        if version.resource_type in _OWN:
            return
        interaction = _interaction(version)
        for resource in self._stored("Subscription"):
            subscription = self._read(resource)
            if subscription and (version.resource_type, interaction) in subscription.triggers:
                self._notify(subscription.endpoint, self._notification(subscription, version))

    def _stored(self, resource_type: str) -> list[fhir_text.Resource]:
        return [fhir_text.loads(body) for body in self._store.export(resource_type, Window())]

    def _read(self, resource: fhir_text.Resource) -> _Subscription | None:
        channel = resource.get("channel", {})
        if resource.get("status") not in ("requested", "active") or channel.get("type") != "event-bridge":
            return None
        topic_id = str(resource.get("criteria", "")).rpartition("/")[2]
        topics = [topic for topic in self._stored("SubscriptionTopic") if topic["id"] == topic_id]
        triggers = [trigger for topic in topics for trigger in topic.get("resourceTrigger", [])]
        content = {
            each.get("url"): each.get("valueCode")
            for each in channel.get("_payload", {}).get("extension", [])
        }
        return _Subscription(
            id=resource["id"],
            endpoint=str(channel["endpoint"]).rpartition("event-bus/")[2],
            full_resource=content.get(PAYLOAD_CONTENT) == "full-resource",
            triggers=frozenset(
                (trigger["resource"], interaction)
                for trigger in triggers
                for interaction in trigger.get("supportedInteraction", ())
            ),
        )

    def _notification(self, subscription: _Subscription, version: Version) -> dict[str, object]:
        """A Bundle of the R5 backport in R4: the status, then the resource or where it is."""
        with self._lock:
            number = self._count[subscription.id] = self._count.get(subscription.id, 0) + 1
        reference = f"{version.resource_type}/{version.id}"
        entry: dict[str, Any] = {
            "fullUrl": reference,
            "request": {"method": "DELETE" if version.body is None else "PUT", "url": reference},
        }
        if subscription.full_resource and version.body is not None:
            entry["resource"] = fhir_text.loads(version.body)
        return {
            "resourceType": "Bundle",
            "type": "history",
            "timestamp": instant(now_ms()),
            "entry": [{"resource": _status(subscription.id, number, version, reference)}, entry],
        }


def _interaction(version: Version) -> str:
    if version.body is not None and version.version == 1:
        return "create"
    return _INTERACTIONS[version.method]


def _status(subscription: str, number: int, version: Version, reference: str) -> dict[str, object]:
    event = [
        {"name": "event-number", "valueString": str(number)},
        {"name": "timestamp", "valueInstant": instant(version.last_updated)},
        {"name": "focus", "valueReference": {"reference": reference}},
    ]
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": f"Subscription/{subscription}"}},
            {"name": "status", "valueCode": "active"},
            {"name": "type", "valueCode": "event-notification"},
            {"name": "notification-event", "part": event},
        ],
    }
