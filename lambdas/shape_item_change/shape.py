"""Stream records to the events of the bus: what changed, in one word, and the change as DynamoDB tells it.

An event is ``{"meta": ..., "event": ...}``. ``meta`` is what rules match on and consumers need first;
``event`` is the stream record, its images in DynamoDB JSON: numbers are texts there, so that no JSON parser
on the way rounds them, and rules can match on attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NotRequired, TypedDict

from lambdas.shared.item_change import Envelope, ItemChange, ItemChangeError, ItemTypeIndex, Landed
from lambdas.shared.landing_entries import readable_change, sequence_number
from schemas.item_type import UNMATCHED

MAX_EVENTS = 10
"""Entries of one PutEvents call, and so of a pipe's batch to a bus."""

MAX_BATCH_BYTES = 250_000
"""Of the 256 KB that a PutEvents call, and a message of SQS, took until 2026 and still take in some regions
and tools; what is above is for the envelope that EventBridge puts around a detail."""

_ENTRY_OVERHEAD = 200
"""Source, detail type and time of an entry."""

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_NO_TIME = Landed(datetime.fromtimestamp(0, UTC), "")


class Meta(TypedDict):
    """What an event says of its change.

    correlationId : ``eventID`` of the stream: the same for every delivery, and for both events of a change
        that turned an item into another type
    changeType : item type and ``Insert``, ``Modify`` or ``Remove``; ``Unmatched…``; ``Unreadable``
    references : ids of FHIR resources that the item refers to, by resource type
    landing : prefix of the partition in the landing zone that gets the change
    imagesOmitted : the images were too large for the bus; ``landing`` and ``SequenceNumber`` lead to them
    reason : why an unreadable record is that
    """

    correlationId: str
    changeType: str
    itemType: NotRequired[str]
    tableName: NotRequired[str]
    changedAt: NotRequired[str]
    expired: NotRequired[bool]
    references: NotRequired[dict[str, list[str]]]
    landing: NotRequired[str]
    imagesOmitted: NotRequired[bool]
    reason: NotRequired[str]


class Shaped(TypedDict):
    meta: Meta
    event: dict[str, Any]


def shape_batch(
    records: Sequence[Any], item_types: ItemTypeIndex, max_bytes: int = MAX_BATCH_BYTES
) -> list[Shaped]:
    """The events of a batch, at most two per record; together they fit into one PutEvents call."""
    return _fitted([event for record in records for event in _events(record, item_types)], max_bytes)


def _events(record: Any, item_types: ItemTypeIndex) -> Iterator[Shaped]:
    try:
        change = readable_change(record, item_types, _NO_TIME)
    except ItemChangeError as error:
        yield _unreadable(record, error)
        return
    kept = {name: record[name] for name in _KEPT if name in record}
    verb = change.event_name.capitalize()
    images = [image for image in map(record["dynamodb"].get, ("NewImage", "OldImage")) if image is not None]
    for index, envelope in enumerate(change.envelopes):
        image = (images or [record["dynamodb"]["Keys"]])[index]
        # Whoever follows the type that an item left sees it leave, as its tables do.
        yield {
            "meta": _meta(record, change, envelope, "Remove" if index else verb, image, item_types),
            "event": kept,
        }


_KEPT = ("eventID", "eventName", "eventSourceARN", "userIdentity", "dynamodb")


def _meta(
    record: Mapping[str, Any],
    change: ItemChange,
    envelope: Envelope,
    verb: str,
    image: Mapping[str, Any],
    item_types: ItemTypeIndex,
) -> Meta:
    name = "Unmatched" if envelope.item_type == UNMATCHED else envelope.item_type
    meta: Meta = {
        "correlationId": change.event_id,
        "changeType": f"{name}{verb}",
        "itemType": envelope.item_type,
        "tableName": change.table_name,
        "expired": change.expired,
        "references": _references(change.table_name, image, item_types),
        "landing": envelope.partition,
        "imagesOmitted": False,
    }
    seconds = record["dynamodb"].get("ApproximateCreationDateTime")
    if seconds is not None:
        moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
        # Always of one width, so that texts compare as times do.
        meta["changedAt"] = moment.replace("+00:00", "Z")
    return meta


def _references(table_name: str, image: Mapping[str, Any], item_types: ItemTypeIndex) -> dict[str, list[str]]:
    item_type = item_types.match(table_name, image)
    found: dict[str, list[str]] = {}
    for attribute in item_type.columns if item_type else ():
        value = image.get(attribute.name, {}).get("S")
        if attribute.references and isinstance(value, str) and _FHIR_ID(value):
            found.setdefault(attribute.references, []).append(value)
    return found


def _unreadable(record: Any, error: ItemChangeError) -> Shaped:
    """Tells that there was a record, and why it is in quarantine; nothing of what it holds."""
    raw = json.dumps(record, sort_keys=True, default=str)
    meta: Meta = {
        "correlationId": sha256(raw.encode()).hexdigest(),
        "changeType": "Unreadable",
        "reason": error.reason,
    }
    return {"meta": meta, "event": {"dynamodb": {"SequenceNumber": sequence_number(record)}}}


def _fitted(events: list[Shaped], max_bytes: int) -> list[Shaped]:
    """Images are left out, the largest first, until all events fit."""
    sizes = [event_bytes(event) for event in events]
    total = sum(sizes)
    for index in sorted(range(len(events)), key=lambda each: (-sizes[each], each)):
        if total <= max_bytes:
            break
        events[index] = _without_images(events[index])
        total += event_bytes(events[index]) - sizes[index]
    return events


def event_bytes(event: Shaped) -> int:
    """Size of an event as an entry of PutEvents."""
    return len(json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")) + _ENTRY_OVERHEAD


def _without_images(shaped: Shaped) -> Shaped:
    change = {
        name: value
        for name, value in shaped["event"]["dynamodb"].items()
        if name not in ("NewImage", "OldImage")
    }
    return {
        "meta": {**shaped["meta"], "imagesOmitted": True},
        "event": {**shaped["event"], "dynamodb": change},
    }
