"""What a start message asks and what follows from it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.start_export.request import (
    MAX_ATTEMPTS,
    InvalidRequestError,
    export_since,
    read_message,
    retry_delay,
)

ARN = "arn:aws:states:us-east-1:000000000000:execution:watershed-export:manual-1"


def request(**options: Any) -> Any:
    message = {"taskToken": "t", "executionArn": ARN, "lastRunTime": "", "options": options}
    return read_message(json.dumps(message))


def test_options_that_are_left_out_have_defaults() -> None:
    read = request()
    assert (read.mode, read.types, read.since, read.accept_errors, read.attempt) == (
        "incremental",
        (),
        "",
        False,
        0,
    )
    assert read.moves_watermark


def test_the_first_export_takes_everything() -> None:
    assert export_since(request(), timedelta(minutes=5)) == ""


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    overlap=st.timedeltas(timedelta(0), timedelta(days=1)),
)
def test_an_export_overlaps_the_run_before(moment: datetime, overlap: timedelta) -> None:
    read = replace(request(), last_run_time=moment.isoformat())
    since = datetime.fromisoformat(export_since(read, overlap))
    assert timedelta(0) <= moment - overlap - since < timedelta(milliseconds=1)  # never later, or a gap


def test_since_overrides_the_watermark_in_utc() -> None:
    read = replace(request(since="2026-01-01T05:45:00+05:45"), last_run_time="2026-06-01T00:00:00Z")
    assert export_since(read, timedelta(minutes=5)) == "2026-01-01T00:00:00.000Z"
    assert not read.moves_watermark


def test_full_ignores_the_watermark_and_moves_it() -> None:
    read = replace(request(mode="full"), last_run_time="2026-06-01T00:00:00Z")
    assert export_since(read, timedelta(0)) == ""
    assert read.moves_watermark
    assert not request(mode="full", types=["Patient"]).moves_watermark


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mode": "some"}, "mode"),
        ({"types": ["../x"]}, "types"),
        ({"types": "Patient"}, "types"),
        ({"since": "2026-01-01"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"mode": "full", "since": "2026-01-01T00:00:00Z"}, "since"),
    ],
)
def test_what_cannot_be_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        export_since(request(**options), timedelta(0))


def test_an_execution_has_one_job_name_that_healthlake_takes() -> None:
    one, same = request(), request(mode="full")
    other = replace(one, execution_arn=ARN + "x")
    assert one.name == same.name != other.name
    assert 1 <= len(one.name) <= 64


@given(st.integers(0, MAX_ATTEMPTS * 2), st.randoms(use_true_random=False))
def test_delays_grow_within_what_sqs_takes(attempt: int, chance: random.Random) -> None:
    full = min(300, 5 * 2**attempt)
    assert full // 2 <= retry_delay(attempt, chance) <= full <= 900


def test_all_attempts_together_outlast_the_exports_that_may_be_queued() -> None:
    assert sum(retry_delay(attempt, random.Random(0)) for attempt in range(MAX_ATTEMPTS)) > 3000


@pytest.mark.parametrize("options", [{"redrive": "../x"}, {"redrive": "0" * 32, "mode": "full"}])
def test_a_redrive_takes_a_job_id_and_nothing_else(options: dict[str, str]) -> None:
    message = {"taskToken": "t", "executionArn": "a", "options": options}
    with pytest.raises(InvalidRequestError, match="redrive"):
        export_since(read_message(json.dumps(message)), timedelta())
