"""Where the simulator writes: export files to S3, events to EventBridge, both at endpoints it is given."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)
ACCOUNT: Final = "000000000000"


class S3Objects:
    """Export files as objects, encrypted with the key that the request named."""

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


class EventBus:
    """Job events on the default bus, in order, from a thread of their own.

    A bus may deliver while it takes the event, and the receiver may call the simulator back; so nothing
    in the simulator waits for it.
    """

    def __init__(self, client: EventBridgeClient, region: str, datastore_id: str) -> None:
        self._client = client
        self._resource = f"arn:aws:healthlake:{region}:{ACCOUNT}:datastore/fhir/{datastore_id}"
        self._waiting: queue.SimpleQueue[tuple[str, Mapping[str, object]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, name="events", daemon=True)
        self._thread.start()

    def announce(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """Queue one event."""
        self._waiting.put((detail_type, detail))

    def stop(self) -> None:
        """Deliver what is queued, then end."""
        self._waiting.put(None)
        self._thread.join(timeout=5)

    def _deliver(self) -> None:
        while (event := self._waiting.get()) is not None:
            detail_type, detail = event
            try:
                self._client.put_events(
                    Entries=[
                        {
                            "Source": "aws.healthlake",
                            "DetailType": detail_type,
                            "Detail": json.dumps(detail),
                            "Resources": [self._resource],
                            "Time": datetime.now(UTC),
                        }
                    ]
                )
            except Exception as error:  # EventBridge delivers at best effort; who waits, polls
                _log.warning("event %s was not delivered: %s", detail_type, type(error).__name__)
