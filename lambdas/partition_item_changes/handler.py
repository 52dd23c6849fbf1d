"""Transforms the changes that an EventBridge pipe puts into Firehose: envelope, partition, or quarantine.

Called by Firehose with a batch of records, each one stream record as the pipe passed it on. A record becomes
the same line, under the same partition, as in the direct sink (`land_item_changes`). What Firehose cannot
place the function writes itself; what it then cannot write, Firehose keeps under its error prefix.

Environment
-----------
LANDING_BUCKET : name of the landing bucket (required)
LOG_LEVEL : INFO where unset
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from lambdas.partition_item_changes.transform import Answer, answers_after, plan_transform, write_all
from lambdas.shared.item_change import Landed
from lambdas.shared.landing_object import LandingObject, write_once
from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import error_type, item_type_index, landed_by, landing_client, setting

_logger = make_logger(
    "partition_item_changes",
    "records",
    "results",
    "objects",
    "quarantined",
    "reasons",
    "without_room",
    "failed_objects",
    "error_types",
)


class Response(TypedDict):
    records: list[Answer]


class NotAFirehoseEventError(ValueError):
    """Raised when the function is called with something other than a batch of Firehose."""


def handler(event: Mapping[str, Any], context: object) -> Response:
    """Answer every record of one batch.

    Raises
    ------
    NotAFirehoseEventError, MissingSettingError : nothing was landed; Firehose tries again
    """
    records = _records(event)
    bucket = setting("LANDING_BUCKET")
    landed = Landed(datetime.now(UTC), landed_by(context, "partition_item_changes"))
    plan = plan_transform(records, item_type_index(), landed)

    def write(landing_object: LandingObject) -> None:
        write_once(landing_client(), bucket, landing_object)

    if plan.quarantined:
        _logger.warning(
            "records quarantined", quarantined=sum(plan.quarantined.values()), reasons=dict(plan.quarantined)
        )
    failures = write_all(plan.objects, write)
    if failures:
        _logger.error(
            "objects not written",
            failed_objects=len(failures),
            error_types=sorted({error_type(each) for each in failures.values()}),
        )
    answers = answers_after(plan, failures)
    _logger.info(
        "batch transformed",
        records=len(records),
        results=dict(Counter(answer["result"] for answer in answers)),
        objects=len(plan.objects),
        without_room=plan.without_room,
    )
    return {"records": answers}


def _records(event: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    records = event.get("records") if isinstance(event, Mapping) else None
    if not isinstance(records, list) or not all(
        isinstance(each, dict) and isinstance(each.get("recordId"), str) for each in records
    ):
        raise NotAFirehoseEventError("no list 'records' of texts 'recordId': call this by a Firehose stream")
    return records
