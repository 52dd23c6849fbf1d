"""Listing the latest days, and everything once a day, finds all that lands, whatever came before it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from glue_jobs.lake import ledger, listing
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import Run, new_run_id
from tests.conftest import LANDING_BUCKET, examples

pytestmark = pytest.mark.spark

TODAY = datetime(2026, 1, 1, 12, tzinfo=UTC)
_numbers = count()


def land(root: Path, day: date, name: str, above: str = "", hour: int = 0) -> str:
    """Put an object into a day's folder; its key below ``root``."""
    folder = f"{above}year={day.year:04d}/month={day.month:02d}/day={day.day:02d}/hour={hour:02d}/"
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / f"{name}.ndjson").write_text(name)
    return f"{folder}{name}.ndjson"


def test_the_days_before_are_not_even_looked_into(
    spark: SparkSession, mirror: Path, landing_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mirror / LANDING_BUCKET / "recent"
    today = TODAY.date()
    for back in (0, 1, 2, 3, 40, 400):
        for site in ("a=1/", "a=%2F/b=2/"):
            land(root, today - timedelta(days=back), f"n{back}", site)
    land(root, today + timedelta(days=370), "ahead", "a=1/")
    (root / "above.ndjson").write_text("")
    (root / "a=1" / "above.txt").write_text("")
    walked: list[str] = []
    children = listing._children

    def noted(files: Any, folder: Any, prefix: str) -> Any:
        walked.append(prefix)
        return children(files, folder, prefix)

    monkeypatch.setattr(listing, "_children", noted)
    since = today - timedelta(days=1)
    found = listing.list_recent(spark, landing_uri, "recent/", (".ndjson",), since)
    assert [each.key.removeprefix("recent/") for each in found] == [
        "a=%2F/b=2/year=2025/month=12/day=31/hour=00/n1.ndjson",
        "a=%2F/b=2/year=2026/month=01/day=01/hour=00/n0.ndjson",
        "a=1/year=2025/month=12/day=31/hour=00/n1.ndjson",
        "a=1/year=2026/month=01/day=01/hour=00/n0.ndjson",
        "a=1/year=2027/month=01/day=06/hour=00/ahead.ndjson",
        "above.ndjson",
    ]
    assert not [each for each in walked if "2024" in each or "month=11" in each or "day=30" in each]
    assert listing.list_recent(spark, landing_uri, "nowhere/", (), since) == []


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("land"), st.integers(0, 10)),  # so many days late
        st.tuples(st.just("run"), st.booleans()),  # it is killed before the ledger is written
        st.tuples(st.just("wait"), st.integers(1, 40)),  # hours
    ),
    max_size=14,
)


@settings(max_examples=examples(4), deadline=None, suppress_health_check=list(HealthCheck))
@given(happenings)
def test_nothing_is_lost_nothing_comes_twice_and_what_is_late_comes_within_a_day(
    spark: SparkSession, mirror: Path, landing_uri: str, happenings: list[tuple[str, Any]]
) -> None:
    zone = f"late{next(_numbers)}/"
    root = mirror / LANDING_BUCKET / zone
    root.mkdir(parents=True)
    told = JobArguments(landing_uri, recent_days=2)
    now = TODAY
    landed: dict[str, datetime] = {}
    consumed: list[str] = []

    def run(*, killed: bool) -> None:
        job = Run(spark, "recent_test", new_run_id(), told, now)
        found = ledger.news(job, zone)
        keys = [each.key for each in found.objects]
        waiting = landed.keys() - set(consumed)
        # What has waited for a day, or landed on its day, is there: of the others none that is not waiting.
        assert set(keys) <= waiting
        assert {key for key in waiting if now - landed[key] >= ledger.SWEPT_EVERY} <= set(keys)
        if not killed:
            ledger.record(job, found.consumed)
            consumed.extend(keys)

    for number, (kind, value) in enumerate(happenings):
        if kind == "wait":
            now += timedelta(hours=value)
        elif kind == "run":
            run(killed=value)
        else:
            landed[zone + land(root, now.date() - timedelta(days=value), str(number))] = now
    now += ledger.SWEPT_EVERY
    run(killed=False)
    assert sorted(consumed) == sorted(landed)


def test_what_lands_on_its_day_comes_with_the_next_run(
    spark: SparkSession, mirror: Path, landing_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mirror / LANDING_BUCKET / "prompt"
    told = JobArguments(landing_uri, recent_days=2)
    land(root, TODAY.date() - timedelta(days=90), "old")

    def consume(at: datetime, again: Any = None) -> list[str]:
        job = Run(spark, "prompt_test", new_run_id(), told, at)
        found = ledger.news(job, "prompt/", again=again)
        ledger.record(job, found.consumed)
        return [each.key.rpartition("/")[2] for each in found.objects]

    assert consume(TODAY) == ["old.ndjson"]
    monkeypatch.setattr(ledger, "list_objects", None)  # not all are listed again
    land(root, TODAY.date() - timedelta(days=2), "two")
    land(root, TODAY.date(), "now")
    land(root, TODAY.date() - timedelta(days=3), "late")
    assert consume(TODAY + timedelta(minutes=5)) == ["two.ndjson", "now.ndjson"]
    assert consume(TODAY + timedelta(minutes=10)) == []
    monkeypatch.undo()
    # Whoever lands something late may ask for it; else the next day finds it.
    assert consume(TODAY + timedelta(minutes=15), again=lambda _: False) == ["late.ndjson"]
