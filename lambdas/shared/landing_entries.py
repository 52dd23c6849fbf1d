"""A stream record to the entries that land: its envelopes, or, where it cannot be read, its quarantine line.

Every delivery, the direct sink, Firehose's function and what lands what a pipe gave up on, puts the same lines under the same partitions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from lambdas.shared.hive import partition_path
from lambdas.shared.item_change import ItemChange, ItemChangeError, ItemTypeIndex, Landed, item_change
from lambdas.shared.landing_object import Entry


def readable_change(record: Any, item_types: ItemTypeIndex, landed: Landed) -> ItemChange:
    """As ``item_change``, with one error for whatever a record does to us: the rest must not wait for it.

    Raises
    ------
    ItemChangeError : the record cannot be read; with the reason for the quarantine
    """
    try:
        return item_change(record, item_types, landed)
    except ItemChangeError:
        raise
    except Exception as error:
        # The type alone: the message may quote the item.
        raise ItemChangeError("conversion_failed", type(error).__name__) from error


def landing_entries(
    record: Any, position: int, item_types: ItemTypeIndex, landed: Landed
) -> tuple[Entry, ...]:
    """The record's lines, that of the type it has now first.

    Raises
    ------
    ItemChangeError : the record cannot be read; with the reason for the quarantine
    """
    change = readable_change(record, item_types, landed)
    return tuple(
        Entry(each.partition, each.line, position, change.event_id, change.sequence_number)
        for each in change.envelopes
    )


def batch_entries(
    records: Sequence[Any], item_types: ItemTypeIndex, landed: Landed
) -> tuple[list[Entry], dict[str, int]]:
    """All lines of a batch, in its order, and how many records went to quarantine, by reason."""
    entries: list[Entry] = []
    quarantined: dict[str, int] = {}
    for position, record in enumerate(records):
        try:
            entries.extend(landing_entries(record, position, item_types, landed))
        except ItemChangeError as error:
            entries.append(quarantine_entry(record, position, error, landed))
            quarantined[error.reason] = quarantined.get(error.reason, 0) + 1
    return entries, quarantined


def quarantine_entry(record: Any, position: int, error: ItemChangeError, landed: Landed) -> Entry:
    """The line that keeps a record whole, with the reason why it did not land."""
    # Sorted and escaped to ASCII: the same record always gives the same bytes, whatever it holds.
    raw = json.dumps(record, sort_keys=True)
    line = (
        f'{{"reason":"{error.reason}","detail":{json.dumps(error.detail)},{landed.members},"record":{raw}}}\n'
    )
    folder = partition_path(
        (("source", "items"), ("reason", error.reason), ("date", _day(record, landed.at).isoformat()[:10]))
    )
    identity = sha256(raw.encode()).hexdigest()
    return Entry(f"quarantine/{folder}", line.encode(), position, identity, sequence_number(record))


def sequence_number(record: Any) -> str:
    """The record's sequence number, empty where it has none that a report could name."""
    try:
        found = record["dynamodb"]["SequenceNumber"]
    except (KeyError, TypeError):
        return ""
    return found if isinstance(found, str) and found.isascii() and found.isdigit() else ""


def _day(record: Any, otherwise: datetime) -> datetime:
    """The day of the change, so that a redelivery after midnight finds its object; else that of the batch."""
    try:
        return datetime.fromtimestamp(record["dynamodb"]["ApproximateCreationDateTime"], tz=UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return otherwise.astimezone(UTC)
