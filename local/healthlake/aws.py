"""Where the simulator writes: files to S3, events to EventBridge, both at endpoints it is given."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lambdas.shared import fhir_text

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)
ACCOUNT: Final = "000000000000"


class S3Objects:
    """Export files as objects, encrypted with the key that the request named; and the files of imports."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def put(self, bucket: str, key: str, body: bytes, kms_key: str) -> None:
        """Store one object. Raises botocore's errors."""
        self._client.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType="application/fhir+ndjson",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=kms_key,
        )

    def read(self, bucket: str, prefix: str) -> Iterator[bytes]:
        """The bodies of the objects below a prefix, by key. Raises botocore's errors."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                yield self._client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()


@dataclass(frozen=True)
class _Event:
    detail_type: str
    detail: Mapping[str, object]
    bus: str


class EventBus:
    """Events of jobs and of calls on the default bus, notifications on others, in order, from a thread of
    their own.

    A bus may deliver while it takes the event, and the receiver may call the simulator back; so nothing
    in the simulator waits for it.
    """

    def __init__(self, client: EventBridgeClient, region: str, datastore_id: str) -> None:
        self._client = client
        self._resource = f"arn:aws:healthlake:{region}:{ACCOUNT}:datastore/fhir/{datastore_id}"
        self._waiting: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, name="events", daemon=True)
        self._thread.start()

    def announce(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """Queue one event of a job."""
        self._waiting.put(_Event(detail_type, detail, "default"))

    def trail(self, detail: Mapping[str, object]) -> None:
        """Queue one event of CloudTrail."""
        self.announce("AWS API Call via CloudTrail", detail)

    def notify(self, bus: str, notification: Mapping[str, object]) -> None:
        """Queue one notification of a subscription."""
        self._waiting.put(_Event("FHIR Subscription Notification", notification, bus))

    def stop(self) -> None:
        """Deliver what is queued, then end."""
        self._waiting.put(None)
        self._thread.join(timeout=5)

    def _deliver(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                reply = self._client.put_events(
                    Entries=[
                        {
                            "Source": "aws.healthlake",
                            "DetailType": event.detail_type,
                            "Detail": fhir_text.dumps(event.detail),
                            "Resources": [self._resource],
                            "Time": datetime.now(UTC),
                            "EventBusName": event.bus,
                        }
                    ]
                )
                if reply["FailedEntryCount"]:
                    code = reply["Entries"][0].get("ErrorCode", "")
                    _log.warning("event %s was refused: %s", event.detail_type, code)
            except Exception as error:  # EventBridge delivers at best effort; who waits, polls
                _log.warning("event %s was not delivered: %s", event.detail_type, type(error).__name__)
