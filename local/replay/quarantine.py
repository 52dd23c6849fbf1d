"""Quarantined item changes, tried again with today's code and declarations.

The quarantine holds lines of three kinds. What the stream's function could not read lies there as the stream
record itself: it goes through the same core again. So does what Firehose could not deliver, whose bytes are
the record that the pipe passed on. What ``conform_items`` refused is an envelope that has
landed: its landing object is marked to be read again, and the job says by its own rules what holds now.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lambdas.partition_item_changes.transform import decoded
from lambdas.shared.item_change import ItemChangeError
from local.replay.landing import look_for_late, mark
from local.replay.outcome import Place, Replayed

QUARANTINED = "quarantine/source=items/"
REPLAYED = "replayed/"
_ITEMS = "items/"


def replay_quarantine(place: Place, since: datetime | None = None) -> Replayed:
    """Try every quarantined line again.

    A record that can be read now lands; one that cannot stays in quarantine, and is counted. Objects none
    of whose lines are left in quarantine move below ``replayed/``.

    Raises
    ------
    ReplayError : the landing bucket refused a write
    """
    done = Replayed("quarantine", unreadable=[])
    refused_by_job: list[str] = []
    for key in list(place.found(place.landing, QUARANTINED, since)):
        done.objects += 1
        try:
            lines = _lines(place.read(place.landing, key))
        except (OSError, EOFError, UnicodeDecodeError):
            assert done.unreadable is not None
            done.unreadable.append(key)
            continue
        records = [record for record in map(_stream_record, lines) if record is not _NO_RECORD]
        if records:
            _replay_records(place, key, records, done)
        if len(records) < len(lines):
            refused_by_job.append(key)
    _reread(place, refused_by_job, done)
    look_for_late(place, done)
    return done


def _lines(body: bytes) -> list[str]:
    # Firehose zips its error prefix or does not, as the delivery stream says.
    plain = gzip.decompress(body) if body[:2] == _GZIP else body
    return plain.decode().splitlines()


_NO_RECORD = object()
_GZIP = b"\x1f\x8b"


def _stream_record(line: str) -> Any:
    """The record in a line of the function's or of Firehose's; ``_NO_RECORD`` for one that the job refused."""
    try:
        document = json.loads(line)
    except ValueError:
        return _NO_RECORD
    if isinstance(document, dict) and "record" in document and "reason" in document:
        return document["record"]
    if isinstance(document, dict) and "rawData" in document and "errorCode" in document:
        return _delivered_in_vain(document)
    return _NO_RECORD


def _delivered_in_vain(document: Mapping[str, Any]) -> Any:
    """What Firehose was given: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html"""
    try:
        return decoded({"data": document["rawData"]})
    except ItemChangeError:
        return document["rawData"]  # lands in quarantine as what it is, no record


def _replay_records(place: Place, key: str, records: list[Any], done: Replayed) -> None:
    landing = place.land(records)
    done.add(landing, len(records))
    # The same records refused for the same reason have the same name, and are there already.
    if all(each.key != key for each in landing.plan.objects):
        place.move(place.landing, key, REPLAYED + key)


def _reread(place: Place, refused: list[str], done: Replayed) -> None:
    """Mark the landing objects whose lines the job refused, then take the lines out of quarantine: the run
    that reads the objects again puts back those that still do not hold."""
    if not refused:
        return
    # The job names a quarantine object for the landing object that its lines came from.
    wanted = {key.rpartition("/")[2].partition(".")[0]: key for key in refused}
    sources = {
        name: key
        for key in place.found(place.landing, _ITEMS, None)
        if (name := hashlib.sha256(key.encode()).hexdigest()[:32]) in wanted
    }
    if sources:
        mark(place, keys=sources.values())
    done.rereads += len(sources)
    for key in refused:
        if key.rpartition("/")[2].partition(".")[0] in sources:
            place.move(place.landing, key, REPLAYED + key)
        else:
            assert done.unreadable is not None
            done.unreadable.append(key)
