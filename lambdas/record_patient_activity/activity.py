"""Events of the bus to the latest activity of each patient they concern.

Activities of a patient are in one total order, time, event id, change type, and only the latest is kept: so any
order of arrival, any repetition and any split into batches gives the same table, without a record of what
was seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


class NotAChangeEventError(ValueError):
    """Raised when a message is not an event of the change bus; never quotes it."""


@dataclass(frozen=True, order=True, slots=True)
class Activity:
    """One change that concerns a patient; ``changed_at`` is ISO 8601 of a fixed width."""

    changed_at: str
    event_id: str
    change_type: str
    item_type: str
    table_name: str


@dataclass(slots=True)
class Latest:
    """The latest activity of a patient in a batch, and the messages that told of any."""

    activity: Activity
    message_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of messages comes to."""

    latest: Mapping[str, Latest]
    unreadable: tuple[str, ...]


def read_batch(messages: Iterable[Mapping[str, Any]]) -> Batch:
    """The latest activity per patient id; messages that are no change events, by their id."""
    latest: dict[str, Latest] = {}
    unreadable: list[str] = []
    for message in messages:
        message_id = message["messageId"]
        try:
            patients, activity = activity_of(message["body"])
        except NotAChangeEventError:
            unreadable.append(message_id)
            continue
        for patient in patients:
            known = latest.setdefault(patient, Latest(activity))
            known.activity = max(known.activity, activity)
            known.message_ids.append(message_id)
    return Batch(latest, tuple(unreadable))


def activity_of(body: str) -> tuple[list[str], Activity]:
    """The patients that a change concerns, by FHIR id, and the change.

    Raises
    ------
    NotAChangeEventError
    """
    try:
        meta = json.loads(body)["detail"]["meta"]
        activity = Activity(
            # A record without a time is older than any that has one.
            changed_at=meta.get("changedAt", ""),
            event_id=meta["correlationId"],
            change_type=meta["changeType"],
            item_type=meta["itemType"],
            table_name=meta["tableName"],
        )
        patients = meta["references"].get("Patient", [])
    except (KeyError, TypeError, AttributeError, ValueError):
        raise NotAChangeEventError("a message must be an event with detail.meta of a change") from None
    # A change names a patient once per attribute that refers to it.
    return list(dict.fromkeys(patients)), activity
