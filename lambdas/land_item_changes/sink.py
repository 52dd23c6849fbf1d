"""A batch of stream records to landing objects, and the report of what has to be delivered again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambdas.shared.item_change import ItemTypeIndex, Landed
from lambdas.shared.landing_entries import batch_entries, sequence_number
from lambdas.shared.landing_object import LandingObject, landing_objects
from lambdas.shared.surroundings import MAX_WRITERS


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
    entries, quarantined = batch_entries(records, item_types, landed)
    return Plan(landing_objects(entries), quarantined)


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
