"""The surroundings of the change functions in memory: a landing bucket, the table of what was seen, a bus,
and a data store behind the reader. Each can be told to fail."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from botocore.exceptions import ClientError

from lambdas.land_fhir_changes.handler import NotificationLander
from lambdas.shared.change_lander import ChangeLander
from lambdas.shared.fhir_search import FhirReader
from lambdas.shared.healthlake_http import HealthLakeThrottledError
from lambdas.shared.resource_events import ResourceEvents
from lambdas.shared.seen_versions import SeenVersions

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "operation")


@dataclass
class Cloud:
    """S3, DynamoDB and EventBridge as far as the functions use them; `chance` decides what fails."""

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    failing: float = 0.0
    objects: dict[str, bytes] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    writes: int = 0

    def _fails(self) -> None:
        if self.chance.random() < self.failing:
            raise refused("SlowDown")

    def put_object(self, **call: Any) -> None:
        self._fails()
        if call.get("IfNoneMatch") == "*" and call["Key"] in self.objects:
            raise refused("PreconditionFailed")
        self.writes += 1
        self.objects[call["Key"]] = call["Body"]

    def batch_get_item(self, RequestItems: Mapping[str, Any]) -> dict[str, Any]:
        self._fails()
        ((table, asked),) = RequestItems.items()
        found = [{"id": key["id"]} for key in asked["Keys"] if key["id"]["S"] in self.items]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def put_item(self, **call: Any) -> None:
        self._fails()
        key = call["Item"]["id"]["S"]
        if key in self.items:
            raise refused("ConditionalCheckFailedException")
        self.items.add(key)

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        answers: list[dict[str, str]] = []
        for entry in Entries:
            lost = self.chance.random() < self.failing
            answers.append({"ErrorCode": "InternalFailure"} if lost else {"EventId": "1"})
            if not lost:
                self.events.append({"type": entry["DetailType"], **json.loads(entry["Detail"])})
        return {"Entries": answers}

    def lander(self, bus: str = "watershed-resources") -> ChangeLander:
        client = cast(Any, self)
        return ChangeLander(
            client,
            "landing",
            SeenVersions(client, "changes", pause=lambda _: None),
            ResourceEvents(client, bus, pause=lambda _: None),
        )

    def lines(self, prefix: str = "fhir_changes/") -> list[dict[str, Any]]:
        """Every landed line."""
        return [
            json.loads(line)
            for key, body in sorted(self.objects.items())
            if key.startswith(prefix)
            for line in gzip.decompress(body).splitlines()
        ]


@dataclass
class DataStore:
    """Resources by `Type/id`; None: deleted. `failing` is the share of reads that are throttled."""

    resources: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    failing: float = 0.0
    reads: int = 0

    def read(self, resource_type: str, id_: str) -> dict[str, Any] | None:
        self.reads += 1
        if self.chance.random() < self.failing:
            raise HealthLakeThrottledError("ReadResource", 400, "ThrottlingException")
        return self.resources.get(f"{resource_type}/{id_}")


def make(cloud: Cloud, store: DataStore | None = None) -> NotificationLander:
    return NotificationLander(
        cast(FhirReader, store or DataStore()), cloud.lander(), lambda: START + timedelta(hours=9)
    )


def patient(id_: str, version: int, second: float, **more: Any) -> dict[str, Any]:
    meta = {"versionId": str(version), "lastUpdated": at(second)}
    return {"resourceType": "Patient", "id": id_, "meta": meta, **more}


def notification(
    reference: str, second: float, *, resource: Mapping[str, Any] | None = None, method: str = "PUT"
) -> str:
    """An EventBridge event with a notification of one change, in the form of the R5 backport for R4."""
    event = [
        {"name": "event-number", "valueString": "1"},
        {"name": "timestamp", "valueInstant": at(second)},
        {"name": "focus", "valueReference": {"reference": reference}},
    ]
    status = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "type", "valueCode": "event-notification"},
            {"name": "notification-event", "part": event},
        ],
    }
    entry: dict[str, Any] = {"fullUrl": reference, "request": {"method": method, "url": reference}}
    if resource is not None:
        entry["resource"] = resource
    bundle = {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}, entry]}
    return json.dumps({"source": "aws.healthlake", "time": at(second + 60), "detail": bundle})


def record(body: str, message_id: str = "m1") -> dict[str, Any]:
    return {"messageId": message_id, "body": body, "attributes": {"SentTimestamp": "1772323200000"}}
