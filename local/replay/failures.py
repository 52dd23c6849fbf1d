"""Batches that Lambda gave up on, parked in the failure bucket with their records, landed after all.

Lambda writes ``aws/lambda/<mapping>/<shard>/YYYY/MM/DD/<time>-<id>``, a JSON document about the failed
invocation whose ``payload`` is the whole event as text
(https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from local.replay.landing import look_for_late
from local.replay.outcome import Place, Replayed

PARKED = "aws/lambda/"
REPLAYED = "replayed/"
_PAYLOADS = ("payload", "requestPayload")
"""A mapping's destination calls the event ``payload``, that of an asynchronous call ``requestPayload``."""


class NotAFailureRecordError(ValueError):
    """Raised when an object of the failure bucket holds no records: a pointer into the stream, or no JSON."""


def failed_records(body: bytes) -> list[Any]:
    """The stream records in an invocation record.

    Raises
    ------
    NotAFailureRecordError : there are none in it
    """
    try:
        document = json.loads(body)
        payload: Any = next(document[name] for name in _PAYLOADS if name in document)
        event = json.loads(payload) if isinstance(payload, str) else payload
        records = event["Records"]
    except (ValueError, TypeError, KeyError, StopIteration):
        raise NotAFailureRecordError("holds no records") from None
    if not isinstance(records, list):
        raise NotAFailureRecordError("holds no list of records")
    return records


def replay_failures(place: Place, since: datetime | None = None) -> Replayed:
    """Land every parked batch, and move its object from ``aws/lambda/`` to ``replayed/aws/lambda/``.

    An object is moved only once its records have landed or are in quarantine. One that holds no records is
    left where it is, and named in the result.

    Raises
    ------
    ReplayError : the landing bucket refused a write
    """
    done = Replayed("failures", unreadable=[])
    for key in list(place.found(place.failures, PARKED, since)):
        done.objects += 1
        try:
            records = failed_records(place.read(place.failures, key))
        except NotAFailureRecordError:
            assert done.unreadable is not None
            done.unreadable.append(key)
            continue
        done.add(place.land(records), len(records))
        place.move(place.failures, key, REPLAYED + key)
    look_for_late(place, done)
    return done
