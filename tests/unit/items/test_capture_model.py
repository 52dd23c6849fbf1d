"""The deployed handler behind a model of its event source mapping: nothing is lost, nothing is invented.

Random histories of items in shards that split, random faults of S3 and of the function, poison records,
batches that come twice, records that grow too old: what lies in the landing zone, once the parked batches are
replayed, folds to the items of DynamoDB and to the exact sequence of their changes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.land_item_changes import handler as module
from local.replay import Place, replay_failures
from tests.conftest import examples
from tests.unit.items.event_source_mapping import MAX_PAYLOAD_BYTES, EventSourceMapping, Record, Shard
from tests.unit.items.memory_s3 import MemoryS3
from tests.unit.items.records import patient, plain, record, registry_key

LANDING, FAILURES = "landing", "failures"
STARTED = 1_772_000_000


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    with (
        mock.patch.dict("os.environ", LANDING_BUCKET=LANDING),
        mock.patch.object(module, "_logger", mock.Mock()),
    ):
        yield


def a_history(dice: random.Random) -> list[Shard]:
    """A shard, and the two that it splits into: each key's later changes are in one of them."""
    names = [f"p{number}" for number in range(dice.randint(1, 5))]
    images: dict[str, dict[str, Any] | None] = dict.fromkeys(names)
    held: dict[str, list[Record]] = {"parent": [], "left": [], "right": []}
    sequence, total = dice.choice([0, 10**38]), dice.randint(1, 30)
    for index in range(total):
        name = dice.choice(names)
        old = images[name]
        new = None if old is not None and dice.random() < 0.3 else an_image(dice)
        sequence += dice.randint(1, 10 ** dice.randint(1, 6))
        # A poison record still changes the item: it is the record that cannot be read.
        told = new
        if new is not None and dice.random() < 0.08:
            told = {**new, "v": {"N": "twelve"}}
        side = "parent" if index < total // 2 else "left" if name < "p2" else "right"
        held[side].append(
            record(sequence, registry_key(name), told, old, at=STARTED + index * dice.choice([0, 1, 1800]))
        )
        images[name] = new
    return [
        Shard("parent", held["parent"]),
        Shard("left", held["left"], "parent"),
        Shard("right", held["right"], "parent"),
    ]


def an_image(dice: random.Random) -> dict[str, Any]:
    digits = "".join(dice.choices("123456789", k=dice.randint(1, 38)))
    more: dict[str, Any] = {"exact": {"N": digits}, "site": {"S": dice.choice(["", "a/b", "ü"])}}
    return patient(**more) if dice.random() < 0.8 else {"itemType": {"S": "Unheard"}, **more}


def is_poison(each: Record) -> bool:
    images = (each["dynamodb"].get(name, {}) for name in ("NewImage", "OldImage"))
    return any(image.get("v") == {"N": "twelve"} for image in images)


def told(each: Record) -> tuple[int, str, Any]:
    """A change as it must be found: number, event and image."""
    new = each["dynamodb"].get("NewImage")
    image = None if new is None else {name: plain(value) for name, value in new.items()}
    return int(each["dynamodb"]["SequenceNumber"]), each["eventName"], image


def folded(s3: MemoryS3) -> dict[str, list[tuple[int, str, Any]]]:
    """What a reader makes of the landing zone: per item, its changes by number, each once."""
    found: dict[str, dict[int, tuple[int, str, Any]]] = {}
    for line in s3.lines(LANDING, "items/"):
        number = int(line["sequence_number"])
        change = (number, line["event_name"], line["new_image"])
        known = found.setdefault(line["keys"]["id"], {}).setdefault(number, change)
        assert known == change, "one number, one change"
    return {item: [changes[number] for number in sorted(changes)] for item, changes in found.items()}


def handler(crashes: frozenset[int]) -> Any:
    """The real handler; at some invocations the function dies after it has written, as of a timeout."""
    calls = count()

    def call(event: Mapping[str, Any], context: object) -> Mapping[str, Any]:
        number = next(calls)
        if number in crashes and number % 2:
            raise MemoryError
        response = module.handler(event, context)
        if number in crashes:
            raise TimeoutError
        return response

    return call


@settings(max_examples=examples(400))
@given(
    seed=st.integers(0, 2**64),
    faults=st.dictionaries(
        st.integers(0, 40), st.sampled_from(["throttled", "lost answer"]), max_size=20
    ),
    crashes=st.frozensets(st.integers(0, 20), max_size=6),
    batch_size=st.integers(1, 12),
    bisect=st.booleans(),
    window=st.sampled_from([None, 0.0, 5.0]),
    record_age=st.sampled_from([None, 60.0, 6 * 3600.0]),
)  # fmt: skip
def test_the_landing_zone_folds_to_the_items_and_the_exact_sequence_of_their_changes(
    seed: int,
    faults: dict[int, str],
    crashes: frozenset[int],
    batch_size: int,
    bisect: bool,
    window: float | None,
    record_age: float | None,
) -> None:
    dice = random.Random(seed)
    shards = a_history(dice)
    s3 = MemoryS3(faults)
    mapping = EventSourceMapping(
        handler(crashes),
        batch_size=batch_size,
        bisect=bisect,
        window=window,
        record_age=record_age,
        clock=STARTED + dice.choice([0, 10, 7200]),
        pause=dice.choice([0.0, 20.0]),
    )
    with mock.patch.object(module, "landing_client", return_value=s3):
        mapping.run(shards, dice.randrange)
    s3.heal()
    s3.objects |= {(FAILURES, key): body for key, body in mapping.parked.items()}
    place = Place(s3, LANDING, FAILURES)  # type: ignore[arg-type]
    replayed = replay_failures(place)
    assert replayed.records == sum(map(len, mapping.destination))
    assert replay_failures(place).objects == 0

    records = [each for shard in shards for each in shard.records]
    wanted: dict[str, list[tuple[int, str, Any]]] = {}
    for each in records:
        if not is_poison(each):
            wanted.setdefault(each["dynamodb"]["Keys"]["id"]["S"], []).append(told(each))
    assert folded(s3) == {item: sorted(changes, key=lambda c: c[0]) for item, changes in wanted.items()}
    refused = {line["record"]["dynamodb"]["SequenceNumber"] for line in s3.lines(LANDING, "quarantine/")}
    assert refused == {each["dynamodb"]["SequenceNumber"] for each in records if is_poison(each)}


def sizes(mapping: EventSourceMapping, records: list[Record], choose: Any = lambda _: 0) -> list[int]:
    seen: list[int] = []
    mapping.handler = lambda event, _: seen.append(len(event["Records"])) or {"batchItemFailures": []}  # type: ignore[func-returns-value]
    mapping.run([Shard("one", records)], choose)
    return seen


def small(number: int, at: float = 0) -> Record:
    return record(number, registry_key(), patient(), at=STARTED + at)


def test_the_model_cuts_batches_by_number_window_and_payload() -> None:
    ignored = module.handler
    records = [small(number, at=number) for number in range(7)]
    assert sizes(EventSourceMapping(ignored, batch_size=3), records) == [3, 3, 1]
    assert sizes(EventSourceMapping(ignored, window=2.0), records) == [3, 3, 1]
    large = record(9, registry_key(), patient(v={"S": "x" * (MAX_PAYLOAD_BYTES // 2)}))
    assert sizes(EventSourceMapping(ignored), [small(1), large, large, small(2)]) == [2, 2]


def test_the_model_reads_a_child_only_after_its_parent() -> None:
    seen: list[str] = []

    def note(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
        seen.extend(each["dynamodb"]["SequenceNumber"] for each in event["Records"])
        return {"batchItemFailures": []}

    shards = [Shard("child", [small(3)], "parent"), Shard("parent", [small(1), small(2)])]
    EventSourceMapping(note, batch_size=1).run(shards, lambda _: 0)
    assert seen == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("response", "delivered"),
    [
        ({"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "3"}]}, [[1, 2, 3], [2, 3]]),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, [[1, 2, 3], [1, 2, 3]]),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, [[1, 2, 3], [1, 2, 3]]),
        ({"batchItemFailures": [{"itemIdentifier": "99"}]}, [[1, 2, 3], [1, 2, 3]]),
        ({"batchItemFailures": []}, [[1, 2, 3]]),
    ],
)
def test_the_model_delivers_again_from_the_lowest_number_reported(
    response: dict[str, Any], delivered: list[list[int]]
) -> None:
    seen: list[list[int]] = []

    def once(event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
        seen.append([int(each["dynamodb"]["SequenceNumber"]) for each in event["Records"]])
        return response if len(seen) == 1 else {"batchItemFailures": []}

    EventSourceMapping(once).deliver([small(1), small(2), small(3)])
    assert seen == delivered


def test_the_model_gives_up_what_is_too_old_and_what_failed_too_often() -> None:
    def broken(_event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
        raise MemoryError

    mapping = EventSourceMapping(broken, attempts=3, bisect=False)
    mapping.deliver([small(1), small(2)])
    assert (mapping.invocations, len(mapping.destination)) == (3, 1)
    halves = EventSourceMapping(broken, attempts=3)
    halves.deliver([small(1), small(2)])
    assert [len(batch) for batch in halves.destination] == [1, 1]
    aged = EventSourceMapping(broken, attempts=100, bisect=False, record_age=60, pause=25, clock=STARTED)
    aged.deliver([small(1), small(2, at=50)])
    assert [len(batch) for batch in aged.destination] == [1, 1], "the older goes first"
    assert aged.invocations < 100
