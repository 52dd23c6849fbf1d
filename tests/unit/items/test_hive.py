"""Partition paths as Hive escapes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.shared.hive import MAX_SEGMENT_BYTES, NO_VALUE, escape, hour_path, partition_path


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("plain-1.2_3 ~", "plain-1.2_3 ~"),
        ("a/b=c%d", "a%2Fb%3Dc%25d"),
        ("\x01\n\x7f", "%01%0A%7F"),
        ("\"#'*:?\\{[]^", "%22%23%27%2A%3A%3F%5C%7B%5B%5D%5E"),
        ("}é☃", "}é☃"),
        ("", NO_VALUE),
        ("x" * MAX_SEGMENT_BYTES, "x" * MAX_SEGMENT_BYTES),
        ("x" * (MAX_SEGMENT_BYTES + 1), NO_VALUE),
    ],
)
def test_escape(value: str, escaped: str) -> None:
    assert escape(value) == escaped


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_text_stays_one_segment_and_reads_back(value: str) -> None:
    from urllib.parse import unquote

    escaped = escape(value)
    assert not set(escaped) & set("/=\n")
    assert escaped == NO_VALUE or unquote(escaped) == value


def test_paths() -> None:
    assert partition_path([("siteId", "a/b"), ("x", None)]) == f"siteId=a%2Fb/x={NO_VALUE}/"
    assert hour_path(datetime(2026, 3, 9, 7, 59, tzinfo=UTC)) == "year=2026/month=03/day=09/hour=07/"
    assert hour_path(datetime(1, 1, 1, tzinfo=UTC)) == "year=0001/month=01/day=01/hour=00/"
