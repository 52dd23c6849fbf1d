"""Having ``conform_items`` read landing objects again: a mark in the landing zone, consumed by its next run."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import UTC, datetime

from glue_jobs.lake.rereads import mark_body, mark_key
from local.replay.outcome import Place, Replayed

JOB = "conform_items"
_ITEMS = "items/"


def reread_landing(place: Place, since: datetime | None = None) -> Replayed:
    """Mark the item changes that landed since a time (default: all) to be merged again.

    Merging a change twice changes nothing; a change that a table has lost comes back.
    """
    wanted = sum(1 for _ in place.found(place.landing, _ITEMS, since))
    if wanted:
        mark(place, since or datetime.fromtimestamp(0, UTC))
    return Replayed("landing", objects=wanted, rereads=wanted)


def look_for_late(place: Place, replayed: Replayed) -> None:
    """Have the next run list all folders, where a replay landed anything: its day may be long gone."""
    if replayed.new_objects:
        mark(place)


def mark(place: Place, since: datetime | None = None, keys: Collection[str] = ()) -> str:
    """Write a mark, and return its key."""
    key = mark_key(JOB, f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(4)}")
    place.s3.put_object(
        Bucket=place.landing, Key=key, Body=mark_body(since, keys), ContentType="application/json"
    )
    return key
