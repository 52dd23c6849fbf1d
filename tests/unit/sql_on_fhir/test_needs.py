"""Needs that are joined: whatever is read of one is read of all, also when it is asked for later."""

from __future__ import annotations

import pytest

from glue_jobs.sql_on_fhir.errors import FhirPathTypeError
from glue_jobs.sql_on_fhir.needs import STRING, STRUCT, TEXT, Need


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


def recursive() -> Need:
    """A tree of nodes `n` in nodes, each with a text `k`."""
    root, shape = need(), Need(STRUCT, False, "N")
    shape.child("k", STRING, False, "string")
    for parent in (root, shape):
        parent.child("n", TEXT, True, "N", shape)
    return root


def test_nodes_in_nodes_are_read_as_text() -> None:
    assert recursive().ddl() == "STRUCT<`n`: ARRAY<STRING>>"
    assert recursive().children["n"].nodes is not None


def test_what_nodes_hold_is_found_at_any_depth() -> None:
    assert recursive().holders("string") == {"k": frozenset({""})}


def test_nodes_are_written_out_as_deep_as_asked() -> None:
    assert recursive().written_out(0).ddl() == recursive().ddl()
    two = "STRUCT<`n`: ARRAY<STRUCT<`k`: STRING, `n`: ARRAY<STRUCT<`k`: STRING, `n`: ARRAY<STRING>>>>>>"
    assert recursive().written_out(2).ddl() == two


def test_structures_with_nodes_can_be_joined() -> None:
    root, shape = need(), recursive().children["n"].nodes
    for key in "ab":
        need(key, root=root).child("n", TEXT, True, "N", shape)
    need("a", root=root).join(need("b", root=root))
    need("b", root=root).child("late", STRING, False, "string")
    assert need("a", root=root).ddl() == "ARRAY<STRUCT<`late`: STRING, `n`: ARRAY<STRING>>>"


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
