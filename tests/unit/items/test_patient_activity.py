"""Whatever order, repetition and split: the table holds the latest activity of each patient."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.record_patient_activity.activity import Activity, NotAChangeEventError, activity_of, read_batch
from lambdas.shape_item_change.shape import shape_batch
from lambdas.shared.item_change import ItemTypeIndex
from tests.unit.items.records import item_types, patient, record, registry_key

INDEX = ItemTypeIndex(item_types())


def message(message_id: str, change: dict[str, Any]) -> dict[str, Any]:
    """A change as the queue behind its rule delivers it."""
    (shaped, *_) = shape_batch([change], INDEX)
    body = {"detail-type": shaped["meta"]["changeType"], "source": "watershed.items", "detail": shaped}
    return {"messageId": message_id, "body": json.dumps(body)}


def enrolment(sequence: int, who: str, at: int) -> dict[str, Any]:
    return record(sequence, registry_key(who), patient(), at=1_772_000_000 + at)


def test_the_latest_change_of_each_patient_is_kept() -> None:
    batch = read_batch(
        [
            message("m1", enrolment(1, "p1", 10)),
            message("m2", enrolment(2, "p2", 5)),
            message("m3", enrolment(3, "p1", 0)),
        ]
    )
    assert {who: latest.activity.event_id for who, latest in batch.latest.items()} == {
        "p1": "event-1",
        "p2": "event-2",
    }
    # All that concern a patient are delivered again where its write fails.
    assert batch.latest["p1"].message_ids == ["m1", "m3"]


def test_a_message_that_is_no_change_is_named_and_never_quoted() -> None:
    bodies = ["no JSON", "[]", '{"detail": {"meta": {"changeType": "Jane"}}}', '{"detail": null}']
    batch = read_batch({"messageId": f"m{index}", "body": body} for index, body in enumerate(bodies))
    assert batch.unreadable == ("m0", "m1", "m2", "m3")
    with pytest.raises(NotAChangeEventError) as refusal:
        activity_of(bodies[2])
    assert "Jane" not in str(refusal.value)


_HISTORY = st.lists(
    st.tuples(st.integers(1, 50), st.sampled_from(["p1", "p2"]), st.integers(0, 3)), min_size=1
)


@given(_HISTORY, st.data())
def test_any_order_repetition_and_split_gives_the_same(
    history: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    messages = [message(f"m{index}", enrolment(*each)) for index, each in enumerate(history)]
    wanted = {who: latest.activity for who, latest in read_batch(messages).latest.items()}
    again = data.draw(st.permutations(messages + messages[: len(messages) // 2]))
    cut = data.draw(st.integers(0, len(again)))
    table: dict[str, Activity] = {}
    for part in (again[:cut], again[cut:]):
        for who, latest in read_batch(part).latest.items():
            # The condition of the write.
            if who not in table or table[who] < latest.activity:
                table[who] = latest.activity
    assert table == wanted
