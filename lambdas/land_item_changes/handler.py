"""Lands the changes of DynamoDB streams in the landing zone, as envelopes, once each by effect.

Triggered by one event source mapping per table with ``ReportBatchItemFailures``. Each batch becomes one
object per partition; a record that cannot be read goes to quarantine with its reason; a write that fails
reports the first record it held, and everything from there is delivered again.

Environment
-----------
LANDING_BUCKET : name of the landing bucket (required)
LOG_LEVEL : INFO where unset
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lambdas.land_item_changes.sink import first_to_redeliver, plan_batch, write_objects
from lambdas.shared.batch_response import BatchResponse, deliver_again
from lambdas.shared.item_change import Landed
from lambdas.shared.landing_object import LandingObject, write_once
from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import error_type, item_type_index, landed_by, landing_client, setting

_logger = make_logger(
    "land_item_changes",
    "records",
    "objects",
    "quarantined",
    "reasons",
    "redeliver_from",
    "redeliver_count",
    "error_type",
)


class NotAStreamEventError(ValueError):
    """Raised when the function is called with something other than a batch of stream records."""


def handler(event: Mapping[str, Any], context: object) -> BatchResponse:
    """Land one batch; the response names the first record to deliver again, or none.

    Raises
    ------
    NotAStreamEventError, MissingSettingError : nothing was landed
    BatchNotLandedError : a write failed before any record that could be named
    """
    records = _records(event)
    bucket = setting("LANDING_BUCKET")
    plan = plan_batch(
        records, item_type_index(), Landed(datetime.now(UTC), landed_by(context, "land_item_changes"))
    )

    def write(landing_object: LandingObject) -> None:
        write_once(landing_client(), bucket, landing_object)

    if plan.quarantined:
        _logger.warning(
            "records quarantined", quarantined=sum(plan.quarantined.values()), reasons=dict(plan.quarantined)
        )
    failure = write_objects(plan.objects, write)
    if failure is None:
        _logger.info("batch landed", records=len(records), objects=len(plan.objects))
        return deliver_again(())
    first = first_to_redeliver(records, failure.position)
    _logger.error(
        "write failed",
        error_type=error_type(failure.error),
        redeliver_from=first,
        redeliver_count=len(records) - failure.position,
    )
    return deliver_again([first])


def _records(event: Mapping[str, Any]) -> Sequence[Any]:
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise NotAStreamEventError("no list 'Records': call this by an event source mapping of a stream")
    return records
