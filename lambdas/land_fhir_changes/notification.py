"""What a notification of a FHIR Subscription says: pure.

HealthLake follows the R5 backport: a Bundle whose first entry is the status of the subscription (a
`Parameters` in R4, a `SubscriptionStatus` in R4B), with a `notification-event` for each change that names
its `focus`; with `full-resource` the resources follow as entries. How the Bundle lies in an EventBridge
event is not documented as far as we could read, so it is looked for as the detail itself, and as a member
of the detail, parsed or as text. This module is the only place that knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lambdas.shared import fhir_text
from lambdas.shared.fhir_change import NotAResourceError, check_reference, moment

_STATUS: Final = ("Parameters", "SubscriptionStatus")


class NotANotificationError(Exception):
    """Raised when an event holds no notification that can be read; the event goes to quarantine."""


@dataclass(frozen=True)
class Notice:
    """One resource that a notification names; `resource` is None where it must be read.

    `at` is when the change happened.
    """

    resource_type: str
    id: str
    deleted: bool
    at: datetime
    resource: Mapping[str, Any] | None


def read_notification(body: str) -> list[Notice]:
    """The resources that an EventBridge event names, each once; none for handshakes and heartbeats.

    Raises
    ------
    NotANotificationError : not an event, without a Bundle, or naming something that is no resource
    """
    try:
        event = fhir_text.loads(body)
        bundle = _bundle(event["detail"])
        received = moment(event.get("time"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotANotificationError("no EventBridge event with a Bundle") from None
    try:
        at = moment(bundle.get("timestamp")) or received
        status, entries = _parts(bundle)
        if _kind(status) in ("handshake", "heartbeat"):
            return []
        events = list(_events(status))
        notices = {notice[:2]: notice for notice in _noticed(entries)}
        times = {reference: time for reference, time in events if time is not None}
        for reference, _time in events:
            notices.setdefault(reference, (*reference, False, None))
        return [
            Notice(type_, id_, deleted, _known(times.get((type_, id_)) or at), resource)
            for type_, id_, deleted, resource in notices.values()
        ]
    except (KeyError, TypeError, AttributeError, NotAResourceError):
        raise NotANotificationError("a Bundle that is no notification") from None


def _bundle(detail: Any) -> Mapping[str, Any]:
    candidates = [detail, *(detail.values() if isinstance(detail, dict) else ())]
    for candidate in candidates:
        text = isinstance(candidate, str) and candidate.lstrip().startswith("{")
        bundle = fhir_text.loads(candidate) if text else candidate
        if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle":
            return bundle
    raise KeyError("Bundle")


def _parts(bundle: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """The status, and the entries of resources."""
    status: Mapping[str, Any] = {}
    others = []
    for entry in bundle.get("entry") or ():
        resource = entry.get("resource") or {}
        if resource.get("resourceType") in _STATUS and not status:
            status = resource
        else:
            others.append(entry)
    return status, others


def _kind(status: Mapping[str, Any]) -> str:
    """`handshake`, `heartbeat`, `event` or other, of `handshake-notification` and so on."""
    said = status.get("type") or next(
        (each.get("valueCode") for each in status.get("parameter") or () if each.get("name") == "type"), ""
    )
    return str(said).partition("-")[0]


def _events(status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], datetime | None]]:
    """What each event is about, `(type, id)`, and when it happened."""
    for event in status.get("notificationEvent") or ():
        if "focus" in event:
            yield _reference(event["focus"]["reference"]), moment(event.get("timestamp"))
    for parameter in status.get("parameter") or ():
        if parameter.get("name") == "notification-event":
            parts = {part["name"]: part for part in parameter.get("part") or ()}
            if "focus" in parts:
                when = moment(parts.get("timestamp", {}).get("valueInstant"))
                yield _reference(parts["focus"]["valueReference"]["reference"]), when


def _noticed(
    entries: list[Mapping[str, Any]],
) -> Iterator[tuple[str, str, bool, Mapping[str, Any] | None]]:
    for entry in entries:
        resource = entry.get("resource")
        request = entry.get("request") or {}
        if resource is not None:
            check_reference(resource.get("resourceType"), resource.get("id"))
            yield resource["resourceType"], resource["id"], False, resource
            continue
        address = str(entry.get("fullUrl") or "")
        if not address or address.startswith("urn:"):
            address = str(request.get("url") or "")
        yield (*_reference(address), request.get("method") == "DELETE", None)


def _reference(text: str) -> tuple[str, str]:
    """`https://…/r4/Patient/1/_history/2` → `("Patient", "1")`."""
    parts = text.partition("/_history/")[0].rstrip("/").split("/")
    resource_type, id_ = parts[-2:] if len(parts) > 1 else ("", "")
    check_reference(resource_type, id_)
    return resource_type, id_


def _known(at: datetime | None) -> datetime:
    if at is None:
        raise KeyError("timestamp")
    return at
