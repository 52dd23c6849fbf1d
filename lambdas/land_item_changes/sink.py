"""A batch of stream records to landing objects, and the report of what has to be delivered again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from lambdas.shared.hive import partition_path
from lambdas.shared.item_change import ItemChangeError, ItemTypeIndex, Landed, item_change
from lambdas.shared.landing_object import Entry, LandingObject, landing_objects

MAX_WRITERS = 8
"""Writes at once: a put takes some 30 ms, nearly all of it waiting."""


class BatchNotLandedError(RuntimeError):
    """Raised when a write failed before any record that the report could name; the batch is retried whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch becomes: its objects, and how many records went to quarantine, by reason."""

    objects: Sequence[LandingObject]
    quarantined: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """A write that failed: the place in the batch from which records may be missing, and why."""

    position: int
    error: Exception


def plan_batch(records: Sequence[Any], item_types: ItemTypeIndex, landed: Landed) -> Plan:
    """Group a batch into one object per partition; records that cannot be read go to the quarantine's."""
    entries: list[Entry] = []
    quarantined: dict[str, int] = {}
    for position, record in enumerate(records):
        try:
            entries.extend(_entries(record, position, item_types, landed))
        except ItemChangeError as error:
            entries.append(_quarantine_entry(record, position, error, landed))
            quarantined[error.reason] = quarantined.get(error.reason, 0) + 1
    return Plan(landing_objects(entries), quarantined)


def _entries(record: Any, position: int, item_types: ItemTypeIndex, landed: Landed) -> Iterator[Entry]:
    try:
        change = item_change(record, item_types, landed)
    except ItemChangeError:
        raise
    except Exception as error:
        # Whatever one record does to us, the rest of the shard must not wait for it. The type alone:
        # the message may quote the item.
        raise ItemChangeError("conversion_failed", type(error).__name__) from error
    for each in change.envelopes:
        yield Entry(each.partition, each.line, position, change.event_id, change.sequence_number)


def _quarantine_entry(record: Any, position: int, error: ItemChangeError, landed: Landed) -> Entry:
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
    """The record's sequence number, empty where it has none that the report could name."""
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


def write_objects(
    objects: Sequence[LandingObject], write: Callable[[LandingObject], object]
) -> Failure | None:
    """Write every object, or stop at the first failure and say from which record on to deliver again."""
    if len(objects) > 1:
        return _write_side_by_side(objects, write)
    for each in objects:
        try:
            write(each)
        except Exception as error:
            return Failure(each.position, error)
    return None


def _write_side_by_side(
    objects: Sequence[LandingObject], write: Callable[[LandingObject], object]
) -> Failure | None:
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(max_workers=min(MAX_WRITERS, len(objects))) as pool:
        writes = {pool.submit(write, each): each for each in objects}
        wait(writes, return_when=FIRST_EXCEPTION)
        # The store is in trouble: what has not begun waits for the redelivery.
        for each in writes:
            each.cancel()
    missing = [(each, write) for write, each in writes.items() if write.cancelled() or write.exception()]
    if not missing:
        return None
    errors = (write.exception() for _, write in missing if not write.cancelled())
    error = next(each for each in errors if isinstance(each, Exception))
    return Failure(min(each.position for each, _ in missing), error)


def first_to_redeliver(records: Sequence[Any], position: int) -> str:
    """The sequence number to report, at or before a position: everything from it on is delivered again.

    Raises
    ------
    BatchNotLandedError : no record up to the position has a sequence number
    """
    for record in reversed(records[: position + 1]):
        found = sequence_number(record)
        if found:
            return found
    raise BatchNotLandedError("a write failed and no record before it can be named; the batch is retried")
