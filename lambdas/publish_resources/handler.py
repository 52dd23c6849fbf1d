"""Tell subscribers what an export brought: an event per resource, without its content.

Invoked by the state machine, where `resource_events` is switched on, with one landed file::

    {"exportId": "…", "file": {"type": "Patient", "key": "fhir/resource_type=Patient/…", "url": "…"}}

Publishes on EVENT_BUS, source `watershed.fhir`, detail type `Resource Changed` with the detail
`{"resourceType", "id", "versionId", "lastUpdated", "exportId"}`, and for the export's lists of deletions
`Resource Deleted` with `{"resourceType", "id", "exportId"}`. At least once: a repetition publishes again.
Lines that are no resources are passed over; `conform_fhir` sets them aside.

Environment: LANDING_BUCKET, EVENT_BUS. Answers `{"published": n}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from lambdas.shared.logger import make_logger
from lambdas.shared.resource_events import CHANGED, DELETED, Event, ResourceEvents

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = make_logger("publish_resources", "key", "job_id", "published")


@dataclass(frozen=True)
class Publisher:
    """Publishes the resources of landed files; its parts are passed in so that tests can choose them."""

    s3: S3Client
    landing_bucket: str
    events: ResourceEvents

    def publish(self, export_id: str, key: str) -> int:
        """Publish one landed file, read as a stream; how many events. Raises UnpublishedEventsError."""
        body = self.s3.get_object(Bucket=self.landing_bucket, Key=key)["Body"]
        published = self.events.publish(file_events(export_id, key, body.iter_lines()))
        logger.info("resources published", key=key, job_id=export_id, published=published)
        return published


def file_events(export_id: str, key: str, lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of a landed file's lines: none for files of errors."""
    if "/error/" in key:
        return
    for line in lines:
        parsed = _object(line)
        if "/deleted/" in key:
            yield from _deletions(export_id, parsed)
        elif isinstance(parsed.get("resourceType"), str) and isinstance(parsed.get("id"), str):
            meta = parsed.get("meta")
            meta = meta if isinstance(meta, dict) else {}
            yield (
                CHANGED,
                {
                    "resourceType": parsed["resourceType"],
                    "id": parsed["id"],
                    "versionId": meta.get("versionId"),
                    "lastUpdated": meta.get("lastUpdated"),
                    "exportId": export_id,
                },
            )


def _deletions(export_id: str, bundle: Mapping[str, Any]) -> Iterator[Event]:
    for entry in bundle.get("entry") or ():
        resource_type, slash, id_ = str(entry.get("request", {}).get("url", "")).partition("/")
        if slash and id_:
            yield DELETED, {"resourceType": resource_type, "id": id_, "exportId": export_id}


def _object(line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def handler(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """Lambda's entry. Raises, so that the state machine retries or fails."""
    return {"published": make_publisher().publish(event["exportId"], event["file"]["key"])}


@cache
def make_publisher() -> Publisher:
    """The publisher that the environment describes; kept while the function is warm."""
    env = os.environ
    events = ResourceEvents(boto3.client("events"), env["EVENT_BUS"])
    return Publisher(boto3.client("s3"), env["LANDING_BUCKET"], events)
