"""Firehose's transformation contract, and that its delivery lands what the direct sink lands.

https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html: every ``recordId`` is answered
once, with ``Ok`` and base64 data, ``Dropped`` or ``ProcessingFailed``; a response has at most 6 MB.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.pipe_record import RECORD_TEMPLATE
from lambdas.land_item_changes.sink import plan_batch
from lambdas.partition_item_changes.transform import (
    MAX_RESPONSE_BYTES,
    Answer,
    answers_after,
    plan_transform,
    write_all,
)
from lambdas.shared.item_change import ItemTypeIndex
from lambdas.shared.landing_object import LandingObject
from local.emulator.pipe_template import render
from tests.conftest import examples
from tests.unit.items.records import LANDED_ONCE, item_types, patient, reading, record, registry_key

INDEX = ItemTypeIndex(item_types())
EVENTS = Path(__file__).parents[4] / "shared" / "events"


def in_firehose(records: Sequence[Any]) -> list[dict[str, Any]]:
    """Stream records as Firehose hands them to its function, having come through the pipe."""
    return [
        {"recordId": f"r{index}", "data": b64encode(render(RECORD_TEMPLATE, each).encode()).decode()}
        for index, each in enumerate(records)
    ]


def placed(answers: Sequence[Answer], objects: Sequence[LandingObject]) -> Counter[tuple[str, bytes]]:
    """Every line with its folder: what Firehose writes for the answers, and the function by itself."""
    lines: Counter[tuple[str, bytes]] = Counter()
    for answer in answers:
        if answer["result"] == "Ok":
            lines[answer["metadata"]["partitionKeys"]["partition"], b64decode(answer["data"])] += 1
    lines.update(_own(objects))
    return lines


def _own(objects: Sequence[LandingObject]) -> Counter[tuple[str, bytes]]:
    return Counter((each.key.rpartition("/")[0] + "/", line) for each in objects for line in each.lines)


def moved(sequence: int) -> dict[str, Any]:
    """A change that turns a patient into an address."""
    return record(sequence, registry_key(), {"itemType": {"S": "Address"}}, patient())


def test_a_change_is_its_line_and_its_partition() -> None:
    [data] = in_firehose([reading(1, "s/1")])
    plan = plan_transform([data], INDEX, LANDED_ONCE)
    (answer,) = plan.answers
    assert (answer["recordId"], answer["result"]) == ("r0", "Ok")
    assert answer["metadata"]["partitionKeys"] == {
        "partition": "items/table_name=watershed-site-activity/item_type=SiteActivity/siteId=s%2F1/"
        "year=2026/month=02/day=25/hour=06/"
    }
    line = b64decode(answer["data"])
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line)["sequence_number"] == "1"
    assert not plan.objects


def test_a_change_of_type_lands_under_both() -> None:
    plan = plan_transform(in_firehose([moved(1)]), INDEX, LANDED_ONCE)
    (answer,) = plan.answers
    assert "item_type=Address" in answer["metadata"]["partitionKeys"]["partition"]
    (own,) = plan.objects
    assert "/item_type=Patient/" in own.key
    assert json.loads(own.lines[0])["event_id"] == json.loads(b64decode(answer["data"]))["event_id"]


def test_what_cannot_be_read_goes_to_quarantine_with_its_reason() -> None:
    poison = record(2, registry_key(), patient(v={"N": "twelve"}))
    batch = [
        *in_firehose([reading(1), poison]),
        {"recordId": "text", "data": b64encode(b"no JSON").decode()},
        {"recordId": "nan", "data": b64encode(b"NaN").decode()},
        {"recordId": "nothing"},
    ]
    plan = plan_transform(batch, INDEX, LANDED_ONCE)
    assert [each["result"] for each in plan.answers] == ["Ok", *["Dropped"] * 4]
    assert plan.quarantined == {"not_dynamodb_json": 1, "not_json": 3}
    lines = {json.loads(line)["reason"]: json.loads(line) for each in plan.objects for line in each.lines}
    assert lines["not_dynamodb_json"]["record"]["dynamodb"] == poison["dynamodb"]
    assert all(each.key.startswith("quarantine/source=items/reason=not_") for each in plan.objects)


def test_what_the_response_has_no_room_for_lands_by_itself() -> None:
    batch = in_firehose([reading(1), reading(2), reading(3)])
    one = len(json.dumps({"records": [plan_transform(batch[:1], INDEX, LANDED_ONCE).answers[0]]}))
    plan = plan_transform(batch, INDEX, LANDED_ONCE, max_bytes=one + 200)
    assert [each["result"] for each in plan.answers] == ["Ok", "Dropped", "Dropped"]
    assert plan.without_room == 2
    assert [json.loads(line)["sequence_number"] for each in plan.objects for line in each.lines] == ["2", "3"]


def test_a_record_whose_line_could_not_be_written_failed_as_a_whole() -> None:
    """Firehose then keeps it as it came, under the error prefix; and the other lines are still written."""
    plan = plan_transform(in_firehose([moved(1), reading(2), moved(3)]), INDEX, LANDED_ONCE)
    written: list[str] = []

    def refuse_some(landing_object: LandingObject) -> None:
        if "item_type=Patient" in landing_object.key:
            raise ConnectionError
        written.append(landing_object.key)

    failures = write_all(plan.objects, refuse_some)
    assert [type(error) for error in failures.values()] == [ConnectionError]
    answers = answers_after(plan, failures)
    assert answers == [
        {"recordId": "r0", "result": "ProcessingFailed"},
        plan.answers[1],
        {"recordId": "r2", "result": "ProcessingFailed"},
    ]


def test_a_retried_batch_writes_the_same_objects() -> None:
    batch = in_firehose([moved(1), {"not": "a record"}, moved(2)])
    once, again = (plan_transform(batch, INDEX, LANDED_ONCE).objects for _ in range(2))
    assert [each.key for each in once] == [each.key for each in again]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
_CHANGES = st.one_of(
    st.builds(reading, st.integers(1, 10**21), st.sampled_from(["a", "b/ü", ""])),
    st.builds(moved, st.integers(1, 10**21)),
    st.builds(
        lambda n, text: record(n, registry_key(), patient(note={"S": text})), st.integers(1, 10**21), _TEXT
    ),
    st.builds(lambda n: record(n, registry_key(), patient(v={"N": "x"})), st.integers(1, 10**21)),
)
_GARBAGE = st.one_of(
    st.binary(max_size=40).map(lambda each: b64encode(each).decode()), st.sampled_from(["", "%%%", None])
)


@settings(max_examples=examples(200))
@given(
    st.lists(st.one_of(_CHANGES.map(lambda each: in_firehose([each])[0]["data"]), _GARBAGE), max_size=40),
    st.integers(0, 20_000),
    st.sets(st.integers(0, 20)),
)
def test_whatever_comes_every_record_is_answered_once_and_nothing_is_lost(
    payloads: list[Any], room: int, broken: set[int]
) -> None:
    records = [{"recordId": f"id-{index}", "data": data} for index, data in enumerate(payloads)]
    limit = room + 80 * len(records) + 100
    plan = plan_transform(records, INDEX, LANDED_ONCE, max_bytes=limit)
    missing = [each for index, each in enumerate(plan.objects) if index in broken]
    answers = answers_after(plan, missing)

    assert [answer["recordId"] for answer in answers] == [each["recordId"] for each in records]
    assert {answer["result"] for answer in answers} <= {"Ok", "Dropped", "ProcessingFailed"}
    assert len(json.dumps({"records": answers})) <= limit
    assert len(json.dumps({"records": plan.answers})) <= limit
    assert all(b64decode(answer["data"]).endswith(b"\n") for answer in answers if answer["result"] == "Ok")

    # Every record that did not fail is in what was answered or written: with unlimited room, and nothing
    # broken, the same lines would be there.
    failed = {index for index, answer in enumerate(answers) if answer["result"] == "ProcessingFailed"}
    survivors = [each for index, each in enumerate(records) if index not in failed]
    wanted = plan_transform(survivors, INDEX, LANDED_ONCE, max_bytes=10**9)
    written = [each for each in plan.objects if each not in missing]
    assert placed(wanted.answers, wanted.objects) <= placed(answers, written)
    # And a failed record is one of a missing object, so nothing fails that need not.
    assert failed == {position for each in missing for position in each.positions}


@settings(max_examples=examples(200))
@given(st.lists(_CHANGES, max_size=40))
def test_both_deliveries_land_the_same_lines_under_the_same_partitions(records: list[Any]) -> None:
    direct = plan_batch(records, INDEX, LANDED_ONCE)
    firehose = plan_transform(in_firehose(records), INDEX, LANDED_ONCE)
    landed = {(folder, line) for folder, line in placed(firehose.answers, firehose.objects)}
    conformed = {each for each in landed if each[0].startswith("items/")}
    assert conformed == {each for each in _own(direct.objects) if each[0].startswith("items/")}
    assert sum(firehose.quarantined.values()) == sum(direct.quarantined.values())


def test_a_batch_of_the_largest_items_stays_under_the_limit_of_a_response() -> None:
    """20 changes of 900 KB: more than Firehose would ever hand over at once."""
    big = record(1, registry_key(), patient(blob={"S": "x" * 450_000}), patient(blob={"S": "y" * 450_000}))
    plan = plan_transform(in_firehose([big] * 20), INDEX, LANDED_ONCE)
    answered = [each for each in plan.answers if each["result"] == "Ok"]
    assert 0 < len(answered) < 20
    assert len(json.dumps({"records": plan.answers})) <= MAX_RESPONSE_BYTES
    assert sum(len(each.lines) for each in plan.objects) == 20 - len(answered)
    assert all(gzip.decompress(each.body()).count(b"\n") == len(each.lines) for each in plan.objects)


def test_samples_of_aws_are_answered() -> None:
    file = EVENTS / "powertools-python" / "kinesisFirehosePutEvent.json"
    if not file.exists():
        pytest.skip("../shared/events with AWS's sample events is not there")
    records = json.loads(file.read_text())["records"]
    plan = plan_transform(records, INDEX, LANDED_ONCE)
    assert [each["recordId"] for each in plan.answers] == [each["recordId"] for each in records]
    # They hold no changes of a table.
    assert {each["result"] for each in plan.answers} == {"Dropped"}
    assert sum(plan.quarantined.values()) == len(records)


def test_samples_of_stream_records_land_alike_both_ways() -> None:
    file = EVENTS / "aws-lambda-go" / "dynamodb-event.json"
    if not file.exists():
        pytest.skip("../shared/events with AWS's sample events is not there")
    records = json.loads(file.read_text())["Records"]
    firehose = plan_transform(in_firehose(records), INDEX, LANDED_ONCE)
    assert {each["result"] for each in firehose.answers} == {"Ok"}
    direct = plan_batch(records, INDEX, LANDED_ONCE)
    assert placed(firehose.answers, firehose.objects) == _own(direct.objects)
