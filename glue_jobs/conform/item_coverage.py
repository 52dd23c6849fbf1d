"""Which exports of a table have landed, and what their silence about an item means.

An object ``item_exports/table_name=<table>/<export id>.json`` in the landing zone says what an export shows.
It is written before the first line of the export and, with ``complete``, after the last: only from then on
does it mean anything that the export does not hold an item.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glue_jobs.lake.listing import LandingObject
    from glue_jobs.lake.run import Run

PREFIX = "item_exports/"


@dataclass(frozen=True)
class Coverage:
    """An export: ``event_id`` of its lines; the moment shown; from when on it has changes (None: a full one,
    which has every item)."""

    event_id: str
    shown_at: datetime
    since: datetime | None
    complete: bool

    def to_json(self) -> str:
        return json.dumps(
            {
                "event_id": self.event_id,
                "shown_at": self.shown_at.astimezone(UTC).isoformat(),
                "since": None if self.since is None else self.since.astimezone(UTC).isoformat(),
                "complete": self.complete,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Coverage:
        document = json.loads(text)
        since = document["since"]
        return cls(
            document["event_id"],
            datetime.fromisoformat(document["shown_at"]),
            None if since is None else datetime.fromisoformat(since),
            document["complete"],
        )


@dataclass(frozen=True)
class Exports:
    """The exports of a table that have begun to land, and the objects of those that the tables do not know."""

    known: Sequence[Coverage] = ()
    news: Sequence[LandingObject] = ()

    @property
    def complete(self) -> list[Coverage]:
        return [each for each in self.known if each.complete]


def coverage_key(table_name: str, export_id: str) -> str:
    return f"{coverage_prefix(table_name)}{export_id}.json"


def coverage_prefix(table_name: str) -> str:
    return f"{PREFIX}table_name={table_name}/"


def landed_exports(run: Run, table_name: str) -> Exports:
    """The exports of a table. To be listed before the landing objects are, so that an export that is
    complete here has all its lines among them."""
    from glue_jobs.lake.ledger import unconsumed, uris
    from glue_jobs.lake.listing import list_objects

    prefix = coverage_prefix(table_name)
    listed = list_objects(run.spark, run.arguments.landing_uri, prefix, (".json",))
    if not listed:
        return Exports()
    texts = run.spark.read.text(uris(listed, run.arguments.landing_uri), wholetext=True).collect()
    return Exports([Coverage.from_json(row.value) for row in texts], unconsumed(run, prefix, listed))
