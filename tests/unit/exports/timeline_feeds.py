"""The change feeds of a timeline: their real functions and state machine, between modelled services."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lambdas.find_fhir_changes.handler import Finder
from lambdas.land_fhir_changes.handler import NotificationLander
from lambdas.note_fhir_changes.handler import Noter
from lambdas.note_fhir_changes.windows import CHANGE, DELETE, Lengths
from lambdas.shared.change_lander import ChangeLander
from lambdas.shared.fhir_search import FhirReader
from lambdas.shared.resource_events import ResourceEvents
from lambdas.shared.seen_versions import SeenVersions
from local.healthlake import DATASTORE_ID
from local.healthlake.notices import PAYLOAD_CONTENT, Subscriptions, call_event
from tests.unit.exports.asl_model import Execution, TaskError
from tests.unit.exports.aws_model import Message, Queue, Table
from tests.unit.exports.aws_model import refusal as aws_refusal

if TYPE_CHECKING:
    from tests.unit.exports.timeline import Timeline

ASL = Path(__file__).parents[3] / "infra" / "state_machines" / "fhir_changes.asl.json"
NONE, ID_ONLY, FULL_RESOURCE, CLOUDTRAIL = "none", "id-only", "full-resource", "cloudtrail"
FEEDS = (NONE, ID_ONLY, FULL_RESOURCE, CLOUDTRAIL)
MINUTE = timedelta(minutes=1)


@dataclass
class Feeds:
    """What HealthLake tells of changes waits in ``notices`` and ``calls``, as ``feed`` says."""

    world: Timeline
    feed: str
    crash: Callable[[], None]
    reader: FhirReader
    executions: dict[str, Execution] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world, client = self.world, cast("Any", self)
        self.table = Table(self.crash)
        self.notices, self.calls = (Queue(world.now, self.crash) for _ in range(2))
        seen = SeenVersions(cast("Any", self.table), "changes", world.moment, pause=lambda _: None)
        lander = ChangeLander(cast("Any", world.s3), "landing", seen, ResourceEvents(client, ""))
        self._notifications = NotificationLander(self.reader, lander, world.moment)
        lengths = {CHANGE: Lengths(MINUTE, MINUTE), DELETE: Lengths(15 * MINUTE, 6 * MINUTE)}
        self._noter = Noter(
            cast("Any", self.table), client, "changes", "machine", DATASTORE_ID, lengths, world.moment
        )
        self._finder = Finder(self.reader, lander, 5 * MINUTE, 5 * MINUTE, 1_000, world.moment)
        self._definition = json.loads(ASL.read_text())
        if self.feed in (ID_ONLY, FULL_RESOURCE):
            self._subscribe()

    def _subscribe(self) -> None:
        """As a client of HealthLake does, but kept aside: the store holds what the lake is compared with."""
        subscriptions = Subscriptions(self.world.store, self._notify)
        stored = {"Subscription": [_subscription(self.feed)], "SubscriptionTopic": [_TOPIC]}
        subscriptions._stored = stored.__getitem__  # type: ignore[method-assign, assignment]
        self.world.store.on_commit = subscriptions.changed

    def called(self, method: str, resource_type: str) -> None:
        """A call on one resource: CloudTrail tells of it."""
        if self.feed == CLOUDTRAIL:
            event = {"detail": call_event(method, resource_type, 200, DATASTORE_ID)}
            self.calls.messages.append(Message(json.dumps(event), self.world.now()))

    def _notify(self, _: str, notification: Mapping[str, object]) -> None:
        event = {"detail": notification, "time": notification["timestamp"]}
        self.notices.messages.append(Message(json.dumps(event), self.world.now()))

    # What the world does a step at a time

    def step(self) -> list[bool]:
        """One message of each queue, one state of each search."""
        moved = [execution.step() for execution in self.executions.values()]
        moved.append(self.world.serve(self.notices, self._batch(self._notifications.land)))
        moved.append(self.world.serve(self.calls, self._batch(self._noter.note)))
        return moved

    @property
    def busy(self) -> bool:
        searching = any(each.status == "RUNNING" for each in self.executions.values())
        return bool(searching or self.notices.messages or self.calls.messages)

    def _batch(self, handle: Callable[[list[Mapping[str, Any]]], set[str]]) -> Callable[[Message], bool]:
        def answer(message: Message) -> bool:
            record = {"messageId": "m", "body": message.body, "attributes": {"SentTimestamp": "0"}}
            return not handle([record])

        return answer

    # Step Functions, and what its machine calls

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:
        self.crash()
        if name in self.executions:
            raise aws_refusal("ExecutionAlreadyExists")
        self.executions[name] = Execution(
            f"{stateMachineArn}:{name}",
            self._definition,
            {"dynamodb:getItem": self._read, "lambda:invoke": self._find},
            self.world.now,
            self.world.entered,
            json.loads(input),
        )
        self.crash()

    def _read(self, parameters: Any, _: Execution) -> Any:
        with self.world.uncrashed():
            return self.table.get_item(**parameters)

    def _find(self, parameters: Any, _: Execution) -> Any:
        asked = parameters["Payload"]
        try:
            if asked["kind"] == DELETE:
                return {"Payload": self._finder.deletions(asked["resourceType"], asked["since"])}
            found = self._finder.changes(asked["resourceType"], asked["since"], asked["page"])
            return {"Payload": found}
        except BaseException as error:  # as the runtime reports what a function raises, or that it died
            raise TaskError(type(error).__name__) from None


_TOPIC = {
    "id": "t",
    "resourceTrigger": [
        {"resource": name, "supportedInteraction": ["create", "update", "delete"]}
        for name in ("Patient", "Observation")
    ],
}


def _subscription(content: str) -> dict[str, Any]:
    payload = {"extension": [{"url": PAYLOAD_CONTENT, "valueCode": content}]}
    channel = {"type": "event-bridge", "endpoint": "bus", "_payload": payload}
    return {"id": "s", "status": "active", "criteria": "SubscriptionTopic/t", "channel": channel}
