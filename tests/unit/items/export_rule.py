"""The rule by which exports and streams make one history, in plain Python, and random worlds to try it on.

Times are seconds; an item's content is a number, and None where there is no item.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MARGIN = 60.0
START = 1_772_000_000
REFUSED = "REFUSED"
Content = int | None


@dataclass(frozen=True)
class Change:
    """One change as the stream tells it; ``at`` is when it truly was, which nobody downstream learns."""

    number: int
    at: float
    content: Content
    known: bool = True

    @property
    def told_at(self) -> int:
        return math.floor(self.at)


@dataclass(frozen=True)
class AnExport:
    """An export; ``since`` is None for a full one."""

    name: str
    shown_at: float
    since: float | None = None


@dataclass(frozen=True)
class Shown:
    """What an export says of one item: written when, and what it is."""

    at: float
    content: Content | str


@dataclass(frozen=True)
class Version:
    """A row of the history: ``name`` is the sequence number or the export."""

    name: str
    event: str
    content: Content
    begins: float
    ends: float | None
    is_current: bool


@dataclass
class World:
    """Changes by item, the exports made, and what each export shows of each item."""

    changes: dict[str, list[Change]] = field(default_factory=dict)
    exports: list[AnExport] = field(default_factory=list)

    def shown(self, export: AnExport, item: str) -> Shown | None:
        """The export's line of an item, as DynamoDB's documentation has it; None where it holds none."""
        until = [each for each in self.changes[item] if each.at <= export.shown_at]
        state = until[-1].content if until else None
        if export.since is None:
            return None if state is None else Shown(export.shown_at, state)
        within = [each for each in until if each.at >= export.since]
        before = [each for each in until if each.at < export.since]
        existed = bool(before) and before[-1].content is not None
        if not within or (state is None and not existed):
            return None
        return Shown(within[-1].at, state)

    def final(self, item: str) -> Content:
        return self.changes[item][-1].content if self.changes[item] else None


def a_world(dice: random.Random, items: int) -> World:
    """Two gaps in which the stream loses changes, and after each an export: the first or both may be full.

    The stream reads again for ``MARGIN`` before each export is made. Changes crowd around the moments shown.
    """
    gap, later_gap = (500, 800), (1500, 1800)
    shown_at, later = dice.uniform(870, 1200), dice.uniform(1870, 2200)
    since = dice.uniform(1290, 1430)
    world = World(
        exports=[
            AnExport("first", shown_at),
            AnExport("second", later, since if dice.random() < 0.6 else None),
        ]
    )
    number = dice.choice([0, 10**20, 10**38])
    for item in range(items):
        moments = [dice.uniform(0, 2600) for _ in range(dice.randint(0, 8))]
        moments += [
            near + dice.uniform(-2, 2) for near in (shown_at, later) for _ in range(dice.choice([0, 0, 1, 3]))
        ]
        moments += [dice.uniform(*dice.choice([gap, later_gap])) for _ in range(dice.randint(0, 3))]
        content: Content = None
        changes = []
        for at in sorted(moment for moment in moments if abs(moment - since) > MARGIN + 1):
            former = content
            content = None if former is not None and dice.random() < 0.35 else dice.randint(1, 4)
            if content == former:
                continue  # the stream tells nothing of a write that changes nothing
            number += dice.randint(1, 10 ** dice.randint(1, 6))
            lost = any(start <= at < end for start, end in (gap, later_gap)) and dice.random() < 0.7
            changes.append(Change(number, round(START + at, 3), content, not lost))
        world.changes[f"item {item}"] = changes
    world.exports = [
        AnExport(
            each.name,
            round(START + each.shown_at, 3),
            None if each.since is None else round(START + each.since, 3),
        )
        for each in world.exports
    ]
    return world


def versions(
    changes: Sequence[Change], shown: Mapping[AnExport, Shown | None], margin: float = MARGIN
) -> list[Version]:
    """The rows of the history of one item, by the rule of docs/change-capture.md.

    ``changes`` are those known, in any order; ``shown`` has every export that landed, and its line or None.
    """
    known = sorted(changes, key=lambda each: each.number)
    clocks = [max(each.told_at for each in known[: index + 1]) for index in range(len(known))]
    rows: list[tuple[float, int, str, Change | AnExport]] = [
        (clock, 1, f"{each.number:040d}", each) for clock, each in zip(clocks, known, strict=True)
    ]
    rows += [(each.shown_at - margin, 0, each.name, each) for each in shown]
    rows.sort(key=lambda row: row[:3])
    found: list[tuple[str, str, Content, float, bool]] = []
    state: Content = None
    told = -math.inf
    for index, (_, _, name, row) in enumerate(rows):
        if isinstance(row, Change):
            told = max(told, row.told_at)
            event = "REMOVE" if row.content is None else "CHANGE"
            found.append((str(row.number), event, row.content, row.told_at, True))
            state = row.content
            continue
        line = shown[row]
        after = [clock for clock, kind, *_ in rows[index:] if kind]
        superseded = bool(after) and after[0] <= row.shown_at
        if line is None:
            would_be_held = row.since is None or told >= row.since + margin
            if would_be_held and not superseded and state is not None:
                found.append((f"absent/{name}", "REMOVE", None, row.shown_at, True))
                state = None
            continue
        if line.content == REFUSED:
            found.append((name, REFUSED, None, line.at, False))
            continue
        assert not isinstance(line.content, str)
        effective = not superseded and line.content != state
        event = "REMOVE" if line.content is None else "BACKFILL"
        found.append((name, event, line.content, line.at, effective))
        state = line.content if effective else state
    return _timed(found)


def _timed(found: Sequence[tuple[str, str, Content, float, bool]]) -> list[Version]:
    begins: list[float] = []
    latest = -math.inf
    for *_, at, effective in found:
        latest = max(latest, at) if effective else latest
        begins.append(latest if effective else at)
    rows = []
    for index, (name, event, content, _, effective) in enumerate(found):
        later = [begins[after] for after in range(index + 1, len(found)) if found[after][4]]
        instant = event == "REMOVE" or not effective
        ends = begins[index] if instant else later[0] if later else None
        current = effective and not later and event != "REMOVE"
        rows.append(Version(name, event, content, begins[index], ends, current))
    return rows


def current(rows: Sequence[Version]) -> Content:
    """What the item is now, by its history."""
    return next((each.content for each in rows if each.is_current), None)
