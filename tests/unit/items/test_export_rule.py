"""The rule for exports: whatever the stream lost before one, the items come out as they are."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.unit.items.export_rule import (
    REFUSED,
    START,
    AnExport,
    Change,
    Shown,
    World,
    a_world,
    current,
    versions,
)

T = START + 1000.5
FULL = AnExport("full", T)


def at(seconds: float, number: int, content: int | None, known: bool = True) -> Change:
    return Change(number, START + seconds, content, known)


@settings(max_examples=examples(300))
@given(st.integers(0, 2**64))
def test_the_current_state_is_that_of_the_table_whatever_was_lost_before_the_export(seed: int) -> None:
    world = a_world(random.Random(seed), items=4)
    for item, changes in world.changes.items():
        known = [each for each in changes if each.known]
        shown = {each: world.shown(each, item) for each in world.exports}
        rows = versions(known, shown)
        assert current(rows) == world.final(item)
        spans = [(each.begins, each.ends) for each in rows if each.ends != each.begins]
        assert all(a[1] is not None and a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_without_the_exports_the_losses_would_show() -> None:
    """The worlds above are no easy ones: the stream alone gives many a wrong item."""
    world = a_world(random.Random(7), items=400)
    wrong = 0
    for item, changes in world.changes.items():
        wrong += current(versions([each for each in changes if each.known], {})) != world.final(item)
    assert wrong > 40


def test_a_change_after_the_export_wins_and_what_was_lost_before_it_shows_as_a_version() -> None:
    rows = versions([at(10, 1, 1), at(1200, 2, 3)], {FULL: Shown(T, 2)})
    assert [(each.name, each.event, each.content) for each in rows] == [
        ("1", "CHANGE", 1), ("full", "BACKFILL", 2), ("2", "CHANGE", 3),
    ]  # fmt: skip
    assert [each.begins for each in rows] == [START + 10, T, START + 1200]


def test_a_removal_that_the_stream_told_is_not_undone() -> None:
    """Removed in the very second of the export, before or after the moment: the stream has the last word."""
    for second in (1000.2, 1000.9):
        world = World({"a": [at(10, 1, 1), at(second, 2, None)]}, [FULL])
        assert current(versions(world.changes["a"], {FULL: world.shown(FULL, "a")})) is None


def test_a_removal_that_the_stream_lost_is_found_by_the_items_absence() -> None:
    rows = versions([at(10, 1, 1)], {FULL: None})
    assert [(each.name, each.event) for each in rows] == [("1", "CHANGE"), ("absent/full", "REMOVE")]
    assert current(rows) is None


def test_what_an_export_confirms_makes_no_version() -> None:
    rows = versions([at(10, 1, 1)], {FULL: Shown(T, 1)})
    assert [(each.name, each.begins, each.ends, each.is_current) for each in rows] == [
        ("1", START + 10, None, True), ("full", T, T, False),
    ]  # fmt: skip


def test_a_refused_line_neither_removes_nor_changes_the_item() -> None:
    assert current(versions([at(10, 1, 1)], {FULL: Shown(T, REFUSED)})) == 1


def test_an_incremental_export_is_silent_about_what_did_not_change() -> None:
    incremental = AnExport("some", T, START + 500.0)
    assert current(versions([at(10, 1, 1)], {incremental: None})) == 1
    assert current(versions([at(700, 1, 1)], {incremental: None})) is None, "inserted and deleted within"
