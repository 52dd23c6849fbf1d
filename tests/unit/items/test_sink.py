"""The sink under the faults that its surroundings have: nothing is lost, nothing is invented."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.land_item_changes.sink import (
    BatchNotLandedError,
    first_to_redeliver,
    plan_batch,
    write_objects,
)
from lambdas.shared.item_change import ItemTypeIndex, Landed
from lambdas.shared.landing_entries import sequence_number
from lambdas.shared.landing_object import LandingObject
from tests.conftest import examples
from tests.unit.items.event_source_mapping import EventSourceMapping, Record
from tests.unit.items.records import item_types, patient, reading, record, registry_key

INDEX = ItemTypeIndex(item_types())
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def plan(records: list[Any], at: datetime = NOON) -> dict[str, LandingObject]:
    return {each.key: each for each in plan_batch(records, INDEX, Landed(at, "land:7")).objects}


def poison(sequence: int) -> Record:
    return record(sequence, registry_key(), patient(v={"N": "twelve"}))


class Store:
    """Objects by key, first write wins; puts fail as told: before the write, or after it, as time-outs do."""

    def __init__(self, faults: Mapping[int, str] | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self._faults = dict(faults or {})
        self._puts = count()

    def write(self, landing_object: LandingObject) -> None:
        fault = self._faults.get(next(self._puts))
        if fault == "before":
            raise ConnectionError("throttled")
        self.objects.setdefault(landing_object.key, landing_object.body())
        if fault == "after":
            raise TimeoutError("no answer")

    def lines(self, prefix: str) -> list[dict[str, Any]]:
        bodies = (gzip.decompress(body) for key, body in self.objects.items() if key.startswith(prefix))
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    @property
    def changes(self) -> set[tuple[str, str, str]]:
        """What a reader that merges by key and sequence number sees; landing times differ by delivery."""
        return {
            (
                each["item_type"],
                each["sequence_number"],
                json.dumps({k: v for k, v in each.items() if k not in ("landed_at", "landed_by")}),
            )
            for each in self.lines("items/")
        }

    @property
    def refused(self) -> set[str]:
        return {each["record"]["dynamodb"]["SequenceNumber"] for each in self.lines("quarantine/")}


def sink(store: Store, crashes: frozenset[int] = frozenset()) -> EventSourceMapping:
    """A mapping whose function plans and writes as the handler does; it dies at the given invocations."""
    calls = count()

    def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        call = next(calls)
        records = event["Records"]
        landed = Landed(NOON + timedelta(seconds=call), f"land:{call}")
        failure = write_objects(plan_batch(records, INDEX, landed).objects, store.write)
        if call in crashes:
            raise MemoryError
        if failure is None:
            return {"batchItemFailures": []}
        return {"batchItemFailures": [{"itemIdentifier": first_to_redeliver(records, failure.position)}]}

    return EventSourceMapping(handler)


def test_one_object_for_each_partition() -> None:
    records = [
        reading(1, "a"),
        reading(2, "b"),
        reading(3, "a"),
        reading(11, "a"),
        record(4, registry_key(), patient()),
    ]
    objects = plan(records)
    assert [len(each.lines) for each in objects.values()] == [2, 1, 1, 1]
    assert [each.position for each in objects.values()] == [0, 1, 3, 4]
    first = next(iter(objects))
    assert first.startswith(
        "items/table_name=watershed-site-activity/item_type=SiteActivity/siteId=a/year=2026/month=02/day=25/hour=06/1-3-"
    )


def test_an_object_is_a_function_of_its_records() -> None:
    records = [reading(1), reading(2), poison(3)]
    once, again = plan(records), plan(records)
    assert {key: each.body() for key, each in once.items()} == {
        key: each.body() for key, each in again.items()
    }
    later = plan(records, NOON + timedelta(days=1))
    assert set(later) == set(once), "the time of landing is not in a name"
    assert not set(plan(records[:1])) & set(once)
    assert not set(plan([reading(1), reading(2, eventID="other")])) & set(once)


def test_gzip_carries_no_time() -> None:
    (landed,) = plan([reading(1)]).values()
    assert landed.body()[4:8] == bytes(4)
    assert json.loads(gzip.decompress(landed.body()))["sequence_number"] == "1"


def test_poison_goes_to_quarantine_and_the_rest_lands() -> None:
    records = [reading(1), poison(2), reading(3), {"not": "a record"}, None, reading(4)]
    planned = plan_batch(records, INDEX, Landed(NOON, "land:7"))
    assert planned.quarantined == {"not_dynamodb_json": 1, "not_a_stream_record": 1, "conversion_failed": 1}
    store = Store()
    assert write_objects(planned.objects, store.write) is None
    assert {number for _, number, _ in store.changes} == {"1", "3", "4"}
    quarantined = {each["reason"]: each for each in store.lines("quarantine/source=items/")}
    assert quarantined["not_dynamodb_json"]["record"] == records[1]
    assert quarantined["not_dynamodb_json"]["detail"] == "NewImage: v: not a number"
    assert quarantined["not_a_stream_record"]["record"] == {"not": "a record"}
    assert quarantined["conversion_failed"]["record"] is None
    assert any(
        key.startswith("quarantine/source=items/reason=not_dynamodb_json/date=2026-02-25/2-2-")
        for key in store.objects
    )


def test_a_failed_write_reports_the_first_record_it_held() -> None:
    records = [reading(1, "a"), reading(2, "b"), reading(3, "b"), reading(4, "a")]
    objects = list(plan(records).values())

    def only_a(landing_object: LandingObject) -> None:
        if "siteId=b" in landing_object.key:
            raise ConnectionError

    failure = write_objects(objects, only_a)
    assert failure is not None
    assert isinstance(failure.error, ConnectionError)
    assert first_to_redeliver(records, failure.position) == "2"


def test_a_record_without_a_number_is_covered_by_the_one_before() -> None:
    records = [reading(1), {}, reading(2)]
    assert first_to_redeliver(records, 1) == "1"
    assert sequence_number({"dynamodb": {"SequenceNumber": "x"}}) == ""
    with pytest.raises(BatchNotLandedError):
        first_to_redeliver([{}, reading(1)], 0)


_RECORDS = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=40
).map(
    lambda drawn: [
        poison(index) if bad else reading(index, site) for index, (site, bad) in enumerate(drawn, start=1)
    ]
)  # fmt: skip
_FAULTS = st.dictionaries(st.integers(0, 60), st.sampled_from(["before", "after"]), max_size=25)


@settings(max_examples=examples(300))
@given(_RECORDS, _FAULTS, st.frozensets(st.integers(0, 30), max_size=6), st.integers(1, 40), st.booleans())
def test_whatever_fails_nothing_is_lost_and_nothing_invented(
    records: list[Record], faults: dict[int, str], crashes: frozenset[int], batch_size: int, bisect: bool
) -> None:
    """What landed, with what the failure destination holds replayed, is what one faultless delivery lands."""
    wanted = Store()
    sink(wanted).deliver(records)

    store = Store(faults)
    mapping = sink(store, crashes)
    mapping.batch_size, mapping.bisect = batch_size, bisect
    mapping.deliver(records)
    assert store.changes <= wanted.changes
    for batch in mapping.destination:
        healthy = Store()
        healthy.objects = store.objects
        sink(healthy).deliver(batch)

    assert store.changes == wanted.changes
    assert store.refused == wanted.refused


@settings(max_examples=examples(200))
@given(_RECORDS, st.data())
def test_redelivery_and_splitting_change_nothing_downstream(
    records: list[Record], data: st.DataObject
) -> None:
    wanted, store = Store(), Store()
    sink(wanted).deliver(records)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(records) - 1))
        mapping = sink(store)
        mapping.batch_size = data.draw(st.integers(1, len(records)))
        mapping.deliver(records[start:])
    sink(store).deliver(records)
    assert store.changes == wanted.changes
    assert store.refused == wanted.refused


@settings(max_examples=examples(50))
@given(_RECORDS)
def test_the_same_batch_again_writes_the_same_objects(records: list[Record]) -> None:
    store = Store()
    sink(store).deliver(records)
    before = dict(store.objects)
    sink(store).deliver(records)
    assert store.objects == before
