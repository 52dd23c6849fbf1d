"""Land what FHIR Subscriptions tell of: resources that changed at HealthLake, once each by effect.

Trigger: the SQS queue behind the event bus that HealthLake's subscriptions notify, in batches, with
`ReportBatchItemFailures`. `full-resource` notifications land as they are; for `id-only` ones the resource is
read. A notification that cannot be read goes to quarantine; one that could not be landed comes again.

Environment: HEALTHLAKE_ENDPOINT, DATASTORE_ID, LANDING_BUCKET, CHANGES_TABLE, EVENT_BUS (may be empty).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.land_fhir_changes.notification import NotANotificationError, Notice, read_notification
from lambdas.shared.batch_response import BatchResponse, deliver_again
from lambdas.shared.change_lander import ChangeLander, change_lander
from lambdas.shared.fhir_change import (
    FhirChange,
    NotAResourceError,
    deletion,
    quarantine_objects,
    resource_change,
)
from lambdas.shared.fhir_search import FhirReader
from lambdas.shared.healthlake_client import UnreadableReplyError, signed_http
from lambdas.shared.healthlake_http import HealthLakeError
from lambdas.shared.logger import make_logger
from lambdas.shared.resource_events import UnpublishedEventsError
from lambdas.shared.seen_versions import SeenUnknownError

logger = make_logger(
    "land_fhir_changes", "messages", "changes", "landed", "quarantined", "failed", "error_name"
)

_COMES_AGAIN = (HealthLakeError, UnreadableReplyError)
_NOT_LANDED = (ClientError, BotoCoreError, UnpublishedEventsError, SeenUnknownError)


@dataclass
class Batch:
    """What the messages of one invocation come to."""

    changes: list[FhirChange] = field(default_factory=list)
    refused: list[tuple[str, str, datetime]] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class NotificationLander:
    """Reads and lands; its parts are passed in so that tests can choose them."""

    reader: FhirReader
    lander: ChangeLander
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def land(self, records: Sequence[Mapping[str, Any]]) -> set[str]:
        """Land a batch of SQS records; the ids of the messages that must come again."""
        batch = Batch()
        for record in records:
            self._take(record, batch)
        try:
            for landing_object in quarantine_objects(batch.refused):
                self.lander.write(landing_object)
            landed = self.lander.land(batch.changes)
        except _NOT_LANDED as error:
            logger.error("batch not landed", error_name=type(error).__name__, messages=len(records))
            return {record["messageId"] for record in records}
        logger.info(
            "batch landed",
            messages=len(records),
            changes=len(batch.changes),
            landed=landed,
            quarantined=len(batch.refused),
            failed=len(batch.failed),
        )
        return batch.failed

    def _take(self, record: Mapping[str, Any], batch: Batch) -> None:
        try:
            changes = [self._change(notice) for notice in read_notification(record["body"])]
        except NotANotificationError:
            batch.refused.append(("not_a_notification", record["body"], self._sent(record)))
        except NotAResourceError as error:
            batch.refused.append((error.reason, record["body"], self._sent(record)))
        except _COMES_AGAIN as error:
            logger.warning("resource not read", error_name=getattr(error, "name", type(error).__name__))
            batch.failed.add(record["messageId"])
        else:
            batch.changes.extend(changes)

    def _change(self, notice: Notice) -> FhirChange:
        if notice.deleted:
            return deletion(notice.resource_type, notice.id, notice.at)
        if notice.resource is not None:
            return resource_change(notice.resource, notice.at)
        asked_at = self.now()
        resource = self.reader.read(notice.resource_type, notice.id)
        if resource is None:
            # Deleted since. It was gone when we asked; made again, it is newer than that.
            return deletion(notice.resource_type, notice.id, asked_at)
        return resource_change(resource, notice.at)

    def _sent(self, record: Mapping[str, Any]) -> datetime:
        """When the message was first sent, so that a redelivery finds its object in quarantine."""
        try:
            return datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)
        except (KeyError, TypeError, ValueError):
            return self.now()


def handler(event: Mapping[str, Any], _context: object) -> BatchResponse:
    """Lambda's entry; the response names the messages to deliver again."""
    failed = make_lander().land(event["Records"])
    return deliver_again(sorted(failed))


@cache
def make_lander() -> NotificationLander:
    """The lander that the environment describes; kept while the function is warm."""
    return NotificationLander(FhirReader(signed_http(), os.environ["DATASTORE_ID"]), change_lander())
