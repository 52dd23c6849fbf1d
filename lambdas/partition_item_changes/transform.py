"""A batch of Firehose to its answer, and to the objects that the function has to write itself.

Firehose puts a record's data under one prefix, once. Three things do not fit into that, and become landing
objects of our own making, as the direct sink would write them: the second line of a change that turned an
item into another type, a line for which the response has no room left, and the quarantine's lines.
"""

from __future__ import annotations

import json
from base64 import b64encode
from binascii import Error as NotBase64Error
from binascii import a2b_base64
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from lambdas.shared.item_change import ItemChangeError, ItemTypeIndex, Landed
from lambdas.shared.landing_entries import landing_entries, quarantine_entry
from lambdas.shared.landing_object import Entry, LandingObject, landing_objects
from lambdas.shared.surroundings import MAX_WRITERS

MAX_RESPONSE_BYTES = 5_500_000
"""Of the 6 MB that Lambda lets a function answer; what is above is for what the runtime may add."""


class PartitionKeys(TypedDict):
    """The one partition key: the whole path of the partition, as item types differ in how many parts it has."""

    partition: str


class Metadata(TypedDict):
    partitionKeys: PartitionKeys


class Answer(TypedDict):
    """What becomes of one record: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html"""

    recordId: str
    result: Literal["Ok", "Dropped", "ProcessingFailed"]
    data: NotRequired[str]
    metadata: NotRequired[Metadata]


@dataclass(frozen=True, slots=True)
class Plan:
    """One answer per record, in order; the function's own objects; and what is worth counting.

    ``Dropped`` is the answer for a record all of whose lines are in those objects.
    """

    answers: Sequence[Answer]
    objects: Sequence[LandingObject]
    quarantined: Mapping[str, int]
    without_room: int


def plan_transform(
    records: Sequence[Mapping[str, Any]],
    item_types: ItemTypeIndex,
    landed: Landed,
    max_bytes: int = MAX_RESPONSE_BYTES,
) -> Plan:
    """Answer every record, within a size; nothing has been written yet."""
    answers: list[Answer] = []
    own: list[Entry] = []
    quarantined: dict[str, int] = {}
    without_room = 0
    room = max_bytes - sum(_size(_failed(record["recordId"])) for record in records)
    for position, record in enumerate(records):
        record_id = record["recordId"]
        change: Any = record.get("data")
        try:
            change = decoded(record)
            first, *others = landing_entries(change, position, item_types, landed)
        except ItemChangeError as error:
            own.append(quarantine_entry(change, position, error, landed))
            quarantined[error.reason] = quarantined.get(error.reason, 0) + 1
            answers.append(_dropped(record_id))
            continue
        own.extend(others)
        answer = _ok(record_id, first)
        size = _size(answer)
        if size <= room:
            room -= size
            answers.append(answer)
        else:
            without_room += 1
            own.append(first)
            answers.append(_dropped(record_id))
    return Plan(answers, landing_objects(own), quarantined, without_room)


def decoded(record: Mapping[str, Any]) -> Any:
    """The stream record that the pipe put into the record of Firehose.

    Raises
    ------
    ItemChangeError : ``not_json``
    """
    try:
        return json.loads(a2b_base64(record["data"]), parse_constant=_refuse)
    except (KeyError, TypeError, ValueError, NotBase64Error, RecursionError):
        raise ItemChangeError("not_json", "data must be the base64 of a JSON document") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _ok(record_id: str, entry: Entry) -> Answer:
    return {
        "recordId": record_id,
        "result": "Ok",
        "data": b64encode(entry.line).decode(),
        "metadata": {"partitionKeys": {"partition": entry.folder}},
    }


def _dropped(record_id: str) -> Answer:
    return {"recordId": record_id, "result": "Dropped"}


def _failed(record_id: str) -> Answer:
    return {"recordId": record_id, "result": "ProcessingFailed"}


def _size(answer: Answer) -> int:
    """Bytes of an answer at most, its comma included: escaping all but ASCII is never shorter than UTF-8."""
    return len(json.dumps(answer)) + 2


def write_all(
    objects: Sequence[LandingObject], write: Callable[[LandingObject], object]
) -> dict[LandingObject, Exception]:
    """Write every object, whatever becomes of the others; those that failed, with the reason."""
    if not objects:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=min(MAX_WRITERS, len(objects))) as pool:
        writes = [(each, pool.submit(write, each)) for each in objects]
    failures = ((each, done.exception()) for each, done in writes)
    return {each: error for each, error in failures if isinstance(error, Exception)}


def answers_after(plan: Plan, missing: Collection[LandingObject]) -> list[Answer]:
    """The answers once the objects are written, or not.

    A record with a line in an object that is missing has failed as a whole: Firehose then keeps the record as
    it came under the error prefix, and delivers none of it.
    """
    positions = {position for each in missing for position in each.positions}
    return [
        _failed(answer["recordId"]) if position in positions else answer
        for position, answer in enumerate(plan.answers)
    ]
