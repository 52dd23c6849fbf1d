"""Marks in the landing zone that have a job read landing objects again that it has consumed.

A mark is ``rereads/job=<job>/<name>.json``: ``{"since": "<ISO 8601>"}`` for all objects written since,
``{"keys": [...]}`` for these, ``{}`` for none but those that landed in the folders of days long gone, which are
not listed each time. It counts until a run has consumed it, which the ledger remembers, so whoever
asks needs no Spark, and a run that is killed reads again what it had not finished.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glue_jobs.lake.listing import LandingObject
    from glue_jobs.lake.run import Run


@dataclass(frozen=True)
class Reread:
    """Objects wanted again: those modified at or after ``since`` (epoch milliseconds), and those named."""

    since: int | None = None
    keys: frozenset[str] = frozenset()

    def wants(self, each: LandingObject) -> bool:
        return each.key in self.keys or (self.since is not None and each.modified >= self.since)


def mark_key(job: str, name: str) -> str:
    """Where a mark for a job goes."""
    return f"{marks_prefix(job)}{name}.json"


def marks_prefix(job: str) -> str:
    return f"rereads/job={job}/"


def mark_body(since: datetime | None = None, keys: Collection[str] = ()) -> bytes:
    """The content of a mark."""
    document: dict[str, object] = {}
    if since is not None:
        document["since"] = since.astimezone(UTC).isoformat()
    if keys:
        document["keys"] = sorted(keys)
    return json.dumps(document).encode()


def read_mark(text: str) -> Reread:
    """What a mark asks for."""
    document = json.loads(text)
    since = document.get("since")
    moment = None if since is None else int(datetime.fromisoformat(since).timestamp() * 1000)
    return Reread(moment, frozenset(document.get("keys", ())))


def pending_rereads(run: Run) -> tuple[Sequence[LandingObject], Sequence[Reread]]:
    """The marks that ``run.job`` has not consumed, as objects for the ledger and as what they ask for."""
    from glue_jobs.lake.ledger import new_objects, uris

    marks = new_objects(run, marks_prefix(run.job), (".json",))
    if not marks:
        return (), ()
    texts = run.spark.read.text(uris(marks, run.arguments.landing_uri), wholetext=True).collect()
    return marks, [read_mark(row.value) for row in texts]
