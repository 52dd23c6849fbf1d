"""The plan of a multipart copy."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.land_export.copy_plan import (
    GIB,
    MAX_OBJECT,
    MAX_PARTS,
    MIB,
    SINGLE_COPY_LIMIT,
    TooLargeError,
    needs_parts,
    part_size,
    parts,
)

TIB = 1024 * GIB


@given(st.integers(SINGLE_COPY_LIMIT + 1, 5 * TIB))
def test_parts_are_adjacent_complete_and_within_s3s_bounds(size: int) -> None:
    planned = list(parts(size))
    assert [part.number for part in planned] == list(range(1, len(planned) + 1))
    assert planned[0].first == 0
    assert planned[-1].last == size - 1
    assert all(after.first == before.last + 1 for before, after in pairwise(planned))
    assert len(planned) <= MAX_PARTS
    assert all(5 * MIB <= part.last - part.first + 1 <= 5 * GIB for part in planned[:-1])
    assert 1 <= planned[-1].last - planned[-1].first + 1 <= 5 * GIB


@pytest.mark.parametrize("size", [5 * TIB, 5 * TIB - 1, MAX_OBJECT])
def test_the_largest_objects_fit(size: int) -> None:
    assert -(-size // part_size(size)) <= MAX_PARTS
    assert part_size(size) <= 5 * GIB


def test_one_call_copies_up_to_5_gib() -> None:
    assert not needs_parts(5 * GIB)
    assert needs_parts(5 * GIB + 1)


def test_no_plan_for_more_than_s3_holds() -> None:
    with pytest.raises(TooLargeError):
        part_size(MAX_OBJECT + 1)


def test_ranges_are_inclusive() -> None:
    assert next(parts(6 * GIB)).range == f"bytes=0-{512 * MIB - 1}"
