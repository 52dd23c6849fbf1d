"""Which searches CloudTrail's events of calls lead to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.note_fhir_changes.windows import CHANGE, DELETE, Call, Lengths, NotACallError, read_call, windows
from local.healthlake.notices import call_event

START = datetime(2026, 3, 1, tzinfo=UTC)
LENGTHS = {
    CHANGE: Lengths(timedelta(seconds=60), timedelta(seconds=60)),
    DELETE: Lengths(timedelta(seconds=900), timedelta(seconds=360)),
}


def moment(second: float) -> datetime:
    return START + timedelta(seconds=second)


def event(method: str = "PUT", **more: Any) -> str:
    return json.dumps({"detail": {**call_event(method, "Patient", 200, "lake"), **more}})


@pytest.mark.parametrize(("method", "kind"), [("POST", CHANGE), ("PUT", CHANGE), ("DELETE", DELETE)])
def test_a_call_tells_its_type_and_time_and_hides_its_resource(method: str, kind: str) -> None:
    call = read_call(event(method, eventTime="2026-03-01T00:00:05Z"), "lake")
    assert call == Call(kind, "Patient", moment(5))
    assert "HIDDEN_DUE_TO_SECURITY_REASONS" in event(method)


def test_what_changed_nothing_here_is_passed_over() -> None:
    assert read_call(event(errorCode="AccessDenied"), "lake") is None
    assert read_call(event(), "another") is None
    assert read_call(event(eventName="ReadResource"), "lake") is None


@pytest.mark.parametrize("body", ["", "{}", '{"detail": []}', event(eventTime="yesterday")])
def test_what_is_no_call_is_said_to_be_none(body: str) -> None:
    with pytest.raises(NotACallError):
        read_call(body, "lake")


def test_many_calls_of_a_type_lead_to_one_search_since_the_earliest() -> None:
    calls = [Call(CHANGE, "Patient", moment(second)) for second in (31, 12, 40)]
    (window,) = windows(calls, moment(45), LENGTHS)
    assert window.since == moment(12)
    assert (window.begins, window.run_at) == (moment(0), moment(120))
    assert window.name == f"change-Patient-{round(START.timestamp() * 1000)}"


def test_types_and_kinds_are_searched_apart() -> None:
    calls = [Call(CHANGE, "Patient", START), Call(DELETE, "Patient", START), Call(CHANGE, "Encounter", START)]
    assert len({window.name for window in windows(calls, moment(1), LENGTHS)}) == 3


@given(
    st.lists(st.tuples(st.sampled_from([CHANGE, DELETE]), st.floats(0, 4000), st.floats(0, 900)), min_size=1)
)
def test_every_call_is_searched_for_by_one_search_per_window_however_late_it_is_noticed(
    told: list[tuple[str, float, float]],
) -> None:
    """Each call on its own: the worst case of batching. A window's searches are one by their name."""
    since: dict[str, datetime] = {}
    run_at: dict[str, datetime] = {}
    found = []
    for kind, happened, late in told:
        (window,) = windows([Call(kind, "Patient", moment(happened))], moment(happened + late), LENGTHS)
        since[window.name] = min(window.since, since.get(window.name, window.since))
        assert run_at.setdefault(window.name, window.run_at) == window.run_at
        found.append((window, moment(happened), moment(happened + late)))
    for window, happened_at, noticed_at in found:
        assert since[window.name] <= happened_at
        # The longest that a call noticed at the window's end takes to be written down is the function's time.
        assert run_at[window.name] >= noticed_at + LENGTHS[window.kind].settle
    spans = {kind: 4900 / LENGTHS[kind].window.total_seconds() + 1 for kind in LENGTHS}
    for kind, bound in spans.items():
        assert len({window.name for window, *_ in found if window.kind == kind}) <= bound
