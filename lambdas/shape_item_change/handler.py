"""Enriches a pipe: stream records in, events for the bus out, `{"meta": ..., "event": ...}` each.

Never fails over a record: one that cannot be read becomes an `Unreadable` event, since the pipe would hold
its shard for it. Needs no environment but `LOG_LEVEL` (INFO where unset).
"""

from __future__ import annotations

from typing import Any

from lambdas.shape_item_change.shape import Shaped, shape_batch
from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import item_type_index

_logger = make_logger("shape_item_change", "records", "events", "images_omitted", "unreadable")


class NotAPipeBatchError(ValueError):
    """Raised when the function is called with something other than a pipe's batch."""


def handler(event: list[Any], _context: object) -> list[Shaped]:
    """The events of one batch.

    Raises
    ------
    NotAPipeBatchError
    """
    if not isinstance(event, list):
        raise NotAPipeBatchError("not a list of stream records: call this by an EventBridge pipe")
    shaped = shape_batch(event, item_type_index())
    _logger.info(
        "batch shaped",
        records=len(event),
        events=len(shaped),
        images_omitted=sum(bool(each["meta"].get("imagesOmitted")) for each in shaped),
        unreadable=sum(each["meta"]["changeType"] == "Unreadable" for each in shaped),
    )
    return shaped
