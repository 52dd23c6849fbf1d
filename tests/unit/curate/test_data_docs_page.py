"""The data docs' page: what is wrong comes first, and is said in words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from glue_jobs.curation.data_docs_page import CheckReport, Report, render

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def _check(
    kind: str,
    success: bool = True,
    severity: str = "halt",
    found: tuple[int | None, int | None] = (10, 0),
    **arguments: Any,
) -> CheckReport:
    columns = [arguments[name] for name in ("column", "column_A", "column_B") if name in arguments]
    columns += arguments.get("column_list", [])
    text = json.dumps(arguments)
    return CheckReport(
        f"expect_{kind}", tuple(columns), text, severity, "for <b>order</b>", success, True, *found
    )


def _report(table: str, *checks: CheckReport, **fields: Any) -> Report:
    given = {"rows": 10, "published_at": MOMENT, "audited_at": MOMENT, "is_published": True, **fields}
    return Report(table, f"Rows of {table}.", checks=checks, **given)


GOOD = _check("column_values_to_not_be_null", column="k")
BAD = _check("column_values_to_be_unique", False, found=(10, 4), column="k")
ODD = _check("column_values_to_not_be_null", False, "warn", (2000, 1), column="v", mostly=0.95)


class _Balance(HTMLParser):
    """Every tag that opens closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _text(page: str) -> str:
    return re.sub(r"<[^>]+>", "", page)


def test_what_was_kept_back_comes_first_and_stands_open() -> None:
    reports = [
        _report("alright", GOOD),
        _report("blank", audited_at=None, published_at=None, rows=0),
        _report("odd", ODD, GOOD),
        _report("refused", GOOD, BAD, is_published=False),
        _report("unmade", failure="depends_on names <a table> that is not there"),
        _report("held_back", GOOD, quarantined=3),
    ]
    page = render(reports, "20260301T123000000Z-0a1b2c3d", MOMENT)
    balance = _Balance()
    balance.feed(page)
    assert not balance.open
    order = re.findall(r'<details id="(\w+)" class="(\w+)"( open)?>', page)
    assert order == [
        ("refused", "failed", " open"),
        ("unmade", "failed", " open"),
        ("held_back", "warned", " open"),
        ("odd", "warned", " open"),
        ("alright", "held", ""),
        ("blank", "unchecked", ""),
    ]
    text = _text(page)
    assert "4 of 10 rows do not (40 %)" in text
    assert "1 of 2,000 rows do not (0.05 %)" in text
    assert "3 rows in quarantine" in text
    assert "never published" in text
    assert "depends_on names &lt;a table&gt; that is not there" in page
    assert "for &lt;b&gt;order&lt;/b&gt;" in page
    assert text.index("✗k is unique") < text.index("✓k is there")
    assert "http" not in page, "the page stands by itself"


def test_expectations_are_said_in_words() -> None:
    said = {
        "v is there in at least 95 % of rows": ODD,
        "a and b are unique together": _check("compound_columns_to_be_unique", column_list=["a", "b"]),
        "a is one of x, y": _check("column_values_to_be_in_set", column="a", value_set=["x", "y"]),
        "a is at least 0 and is below 5": _check(
            "column_values_to_be_between", column="a", min_value=0, max_value=5, strict_max=True
        ),
        "b is not less than a": _check(
            "column_pair_values_a_to_be_greater_than_b", column_A="b", column_B="a", or_equal=True
        ),
        "a column value lengths to equal {&quot;value&quot;: 3}": _check(
            "column_value_lengths_to_equal", column="a", value=3
        ),
    }
    for words, check in said.items():
        assert words in _text(render([_report("t", check)], "r", MOMENT))


def test_an_expectation_about_the_table_has_no_count() -> None:
    whole = _check("table_row_count_to_be_between", False, found=(None, None), min_value=1)
    assert "does not hold" in render([_report("t", whole)], "r", MOMENT)
    broken = CheckReport("expect_x", ("a",), "{}", "halt", "r", False, evaluated=False)
    assert "could not be evaluated" in render([_report("t", broken)], "r", MOMENT)
