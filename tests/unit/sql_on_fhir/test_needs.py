"""Needs that are joined: whatever is read of one is read of all, also when it is asked for later."""

from __future__ import annotations

import pytest

from glue_jobs.sql_on_fhir.errors import FhirPathTypeError
from glue_jobs.sql_on_fhir.needs import STRING, STRUCT, Need


def need(*path: str, root: Need | None = None) -> Need:
    """The need at the end of a path of arrays, registered below `root`."""
    found = root or Need(STRUCT, False, "T")
    for key in path:
        found = found.child(key, STRUCT, True, "T")
    return found


def test_a_key_of_one_is_a_key_of_all_before_and_after_they_are_joined() -> None:
    root = need()
    a, b, c = (need(key, root=root) for key in "abc")
    a.child("early", STRING, False, "string")
    a.join(b)
    c.join(b)
    c.child("late", STRING, False, "string")
    assert a.ddl() == b.ddl() == c.ddl() == "ARRAY<STRUCT<`early`: STRING, `late`: STRING>>"


def test_what_is_below_joined_needs_is_joined() -> None:
    root = need()
    one, other = need("a", "x", root=root), need("b", "x", root=root)
    need("a", root=root).join(need("b", root=root))
    one.child("k", STRING, False, "string")
    assert other.children.keys() == {"k"}


def test_joined_needs_may_differ_in_number() -> None:
    one, many = Need(STRUCT, False, "T"), Need(STRUCT, True, "T")
    one.join(many)
    many.child("k", STRING, False, "string")
    assert (one.ddl(), many.ddl()) == ("STRUCT<`k`: STRING>", "ARRAY<STRUCT<`k`: STRING>>")


def test_what_is_merged_is_joined_where_it_was_joined() -> None:
    shape, root = need(), need()
    need("a", root=shape).join(need("b", root=shape))
    root.merge(shape)
    need("a", root=root).child("k", STRING, False, "string")
    assert need("b", root=root).children.keys() == {"k"}
    assert "k" not in need("a", root=shape).children


def test_sixty_levels_of_two_joined_keys_are_counted_at_once() -> None:
    root = need()
    level = root
    for _ in range(60):
        a, b = need("a", root=level), need("b", root=level)
        a.join(b)
        level = b
    assert root.size() == 2**61 - 2


@pytest.mark.parametrize("path", [("a",), ("a", "b"), ("a", "b", "a")])
def test_a_need_cannot_be_joined_with_one_below_it(path: tuple[str, ...]) -> None:
    root = need()
    with pytest.raises(FhirPathTypeError, match="one T is within the other"):
        need("a", root=root).join(need("a", *path, root=root))


def test_joins_that_each_are_possible_are_refused_where_together_they_are_not() -> None:
    root = need()
    need("a", root=root).join(need("b", root=root))
    with pytest.raises(FhirPathTypeError, match="separate views"):
        need("a", root=root).join(need("b", "x", root=root))
