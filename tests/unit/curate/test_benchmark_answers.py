"""The curate benchmark weighs bytes of answers that are the same."""

from __future__ import annotations

import pytest

from benchmarks.curate_bytes import alike

ANSWER = [("2026-01", 3, 5.67), ("2026-02", 1, None)]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ANSWER, True),
        ([("2026-01", 3, 5.68), ("2026-02", 1, None)], True),
        ([("2026-01", 3, 5.69), ("2026-02", 1, None)], False),
        ([("2026-01", 4, 5.67), ("2026-02", 1, None)], False),
        ([("2026-01", 3, 5.67), ("2026-02", 1, 5.67)], False),
        (ANSWER[:1], False),
    ],
)
def test_answers_may_differ_by_the_last_digit_of_an_average(
    other: list[tuple[object, ...]], same: bool
) -> None:
    assert alike(ANSWER, other) is same
