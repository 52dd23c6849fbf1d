"""The calculator, and the pages that quote it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from infra.cost import PAGE, Prices, Use, main, monthly, page, total
from infra.packaging import REPOSITORY


def _dollars(use: Use, what: str) -> float:
    (line,) = (line for line in monthly(use) if line.what == what)
    return line.dollars


def test_the_page_is_current() -> None:
    assert page(PAGE.read_text()) == PAGE.read_text(), "run: python -m infra.cost --write"


def test_the_readme_quotes_the_same_totals() -> None:
    readme = " ".join((REPOSITORY / "README.md").read_text().split())
    hourly, often = (total(monthly(replace(Use(), export_minutes=minutes))) for minutes in (60, 5))
    assert (
        f"about ${hourly:,.0f} a month with hourly exports and ${often:,.0f} with exports every 5" in readme
    )


def test_jobs_and_crawlers_are_billed_by_the_run() -> None:
    # 720 runs of 3 jobs, 2 workers, 2 minutes; and of 2 crawls of 10 minutes.
    assert _dollars(Use(), "Glue jobs") == pytest.approx(720 * 3 * 2 * 2 / 60 * 0.44)
    assert _dollars(Use(), "Glue crawlers") == pytest.approx(720 * 2 * 10 / 60 * 0.44)
    for what in ("Glue jobs", "Glue crawlers", "Step Functions"):
        assert _dollars(replace(Use(), export_minutes=5), what) == pytest.approx(12 * _dollars(Use(), what))


def test_a_job_is_billed_a_minute_at_least() -> None:
    assert _dollars(replace(Use(), job_minutes=0.2), "Glue jobs") == _dollars(
        replace(Use(), job_minutes=1), "Glue jobs"
    )


def test_a_crawl_without_events_is_not_billed() -> None:
    assert _dollars(replace(Use(), quiet_percent=75), "Glue crawlers") == pytest.approx(
        _dollars(Use(), "Glue crawlers") / 4
    )


@pytest.mark.parametrize("name", [each.name for each in fields(Use)])
def test_each_assumption_counts(name: str) -> None:
    assumed: Any = getattr(Use(), name)
    other: Any = not assumed if isinstance(assumed, bool) else assumed * 3 + 1
    assert total(monthly(replace(Use(), **{name: other}))) != pytest.approx(total(monthly(Use())))


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--export-minutes=0", "must be 1 or more"),
        ("--changes-per-object=0", "must be 1 or more"),
        ("--stored-gb=-1", "must be 0 or more"),
        ("--quiet-percent=101", "must be 100 or less"),
        ("--item-changes=many", "invalid"),
    ],
)
def test_what_nothing_can_be_reckoned_with_is_refused(
    capsys: pytest.CaptureFixture[str], option: str, problem: str
) -> None:
    with pytest.raises(SystemExit):
        main([option])
    said = capsys.readouterr().err
    assert option.partition("=")[0] in said
    assert problem in said


def test_what_is_off_costs_nothing() -> None:
    assert _dollars(replace(Use(), fan_out=False), "Change bus") == 0


def test_dearer_prices_make_every_line_dearer() -> None:
    doubled = Prices(**{name: 2 * value for name, value in vars(Prices()).items()})
    for line, dear in zip(monthly(Use()), monthly(Use(), doubled), strict=True):
        assert dear.dollars == pytest.approx(2 * line.dollars), line.what


def test_the_calculator_takes_every_assumption() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-m",
            "infra.cost",
            "--export-minutes",
            "15",
            "--scanned-gb",
            "2000",
            "--no-fan-out",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "     10.00  Athena" in said
    assert "      0.00  Change bus" in said
