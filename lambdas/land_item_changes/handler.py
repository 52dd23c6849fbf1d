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

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypedDict

from lambdas.land_item_changes.sink import MAX_WRITERS, first_to_redeliver, plan_batch, write_objects
from lambdas.shared.item_change import ItemTypeIndex, Landed
from lambdas.shared.landing_object import LandingObject, write_once
from lambdas.shared.logger import make_logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    batchItemFailures: list[ItemFailure]


class NotAStreamEventError(ValueError):
    """Raised when the function is called with something other than a batch of stream records."""


class MissingSettingError(RuntimeError):
    """Raised when an environment variable that the function needs is not set."""


def handler(event: Mapping[str, Any], context: object) -> BatchResponse:
    """Land one batch; the response names the first record to deliver again, or none.

    Raises
    ------
    NotAStreamEventError, MissingSettingError : nothing was landed
    BatchNotLandedError : a write failed before any record that could be named
    """
    records = _records(event)
    bucket = _setting("LANDING_BUCKET")
    plan = plan_batch(records, _item_types(), Landed(datetime.now(UTC), _landed_by(context)))

    def write(landing_object: LandingObject) -> None:
        write_once(_s3(), bucket, landing_object)

    if plan.quarantined:
        _logger.warning(
            "records quarantined", quarantined=sum(plan.quarantined.values()), reasons=dict(plan.quarantined)
        )
    failure = write_objects(plan.objects, write)
    if failure is None:
        _logger.info("batch landed", records=len(records), objects=len(plan.objects))
        return {"batchItemFailures": []}
    first = first_to_redeliver(records, failure.position)
    _logger.error(
        "write failed",
        error_type=_error_type(failure.error),
        redeliver_from=first,
        redeliver_count=len(records) - failure.position,
    )
    return {"batchItemFailures": [{"itemIdentifier": first}]}


def _records(event: Mapping[str, Any]) -> Sequence[Any]:
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise NotAStreamEventError("no list 'Records': call this by an event source mapping of a stream")
    return records


def _setting(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise MissingSettingError(f"environment variable {name} is not set")
    return value


def _landed_by(context: object) -> str:
    name = getattr(context, "function_name", None) or "land_item_changes"
    return f"{name}:{getattr(context, 'function_version', None) or 'local'}"


def _error_type(error: Exception) -> str:
    """``ClientError SlowDown``: the code tells an operator what to do, the message may name a partition."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return f"{type(error).__name__} {code}".strip()


@lru_cache(maxsize=1)
def _item_types() -> ItemTypeIndex:
    from schemas.item_type import load_item_types

    return ItemTypeIndex(load_item_types().values())


@lru_cache(maxsize=1)
def _s3() -> S3Client:
    import boto3
    from botocore.config import Config

    # Within the function's timeout a few quick attempts; beyond them the mapping redelivers anyway.
    retries: Any = {"mode": "standard", "total_max_attempts": 4}
    config = Config(connect_timeout=2, read_timeout=10, retries=retries, max_pool_connections=MAX_WRITERS)
    client: S3Client = boto3.client("s3", config=config)
    return client
