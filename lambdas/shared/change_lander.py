"""Landing changes once by effect: drop what is seen, land, announce, remember; in this order.

Whatever dies in between is repeated by who asked: an object is not written twice, an event may be.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from lambdas.shared.fhir_change import FhirChange, change_objects
from lambdas.shared.landing_object import LandingObject, write_once
from lambdas.shared.resource_events import CHANGED, DELETED, Event, ResourceEvents
from lambdas.shared.seen_versions import SeenVersions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ChangeLander:
    """The landing zone, the memory of what landed, and the bus."""

    s3: S3Client
    bucket: str
    seen: SeenVersions
    events: ResourceEvents

    def land(self, changes: Iterable[FhirChange]) -> int:
        """Land what has not landed; how many changes that were. Raises botocore's errors and our own."""
        unique = {change.identity: change for change in changes}
        if not unique:
            return 0
        new = [unique[identity] for identity in sorted(self.seen.unseen(unique))]
        for landing_object in change_objects(new):
            self.write(landing_object)
        self.events.publish(change_event(change) for change in new)
        self.seen.mark(change.identity for change in new)
        return len(new)

    def write(self, landing_object: LandingObject) -> bool:
        """Write one object unless it is there."""
        return write_once(self.s3, self.bucket, landing_object)


def change_event(change: FhirChange) -> Event:
    """What subscribers hear of a change: type, id, version and kind; nothing of the content."""
    return DELETED if change.deleted else CHANGED, {
        "resourceType": change.resource_type,
        "id": change.id,
        "versionId": change.version_id or None,
        "lastUpdated": change.last_updated or None,
        "change": change.kind,
    }


def change_lander(environment: Mapping[str, str] = os.environ) -> ChangeLander:
    """What the environment names: LANDING_BUCKET, CHANGES_TABLE; EVENT_BUS, empty to announce nothing."""
    config = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "max_attempts": 4})
    return ChangeLander(
        boto3.client("s3", config=config),
        environment["LANDING_BUCKET"],
        SeenVersions(boto3.client("dynamodb", config=config), environment["CHANGES_TABLE"]),
        ResourceEvents(boto3.client("events", config=config), environment.get("EVENT_BUS", "")),
    )
