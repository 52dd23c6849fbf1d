"""Changes between exports: from HealthLake's calls or its subscriptions into `fhir_changes/`."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarm import Counted, alarm
from infra.export import Export
from infra.functions import PackagedFunction, Surroundings
from infra.item_tables import table
from infra.policies import Permission, allow
from infra.policies import consume as consume_queue
from infra.queues import WorkQueue
from infra.state_machine import DEFINITIONS, DefinedStateMachine
from infra.storage import Storage

_BATCH_SIZE = 100
_BATCH_SECONDS = 5
"""Notifications are gathered for this long: fewer, larger objects."""
_TIMEOUT_SECONDS = 120
_FIND_TIMEOUT_SECONDS = 900
"""500 pages of a listing, at a few pages a second."""

_CALLS = ["CreateResource", "UpdateResource", "PatchResource", "DeleteResource"]
_NAMED = "Objects are named for the changes in them."


def change_feed(
    scope: Construct, id_: str, given: Surroundings, storage: Storage, export: Export
) -> ChangeFeed | None:
    """The feed that the settings choose; None where they choose none."""
    kinds = {"cloudtrail": CallFeed, "subscription": SubscriptionFeed}
    kind = kinds.get(given.settings.change_feed)
    return kind(scope, id_, given, storage, export) if kind else None


class ChangeFeed(Construct):
    """What both feeds have: the queue behind a rule, the memory of what landed, the alarms."""

    def __init__(
        self, scope: Construct, id_: str, given: Surroundings, storage: Storage, export: Export
    ) -> None:
        super().__init__(scope, id_)
        self.given, self.settings = given, given.settings
        self.storage, self.export = storage, export
        self.changes = table(
            self, "Changes", self.settings.name("fhir-changes"), (("id", "S"),), self.settings, given.key,
            stream=False,
        )  # fmt: skip
        self.queue = WorkQueue(self, "Queue", self.settings, given.key, "fhir-changes", _TIMEOUT_SECONDS)
        self.outputs = {
            "ChangesTable": self.changes.table_name,
            "ChangesQueueUrl": self.queue.queue.queue_url,
        }
        where = {"QueueName": self.queue.dead_letters.queue_name}
        self.alarm(
            "parked",
            "Messages that five invocations failed on wait in the dead-letter queue of fhir-changes",
            Counted("AWS/SQS", "ApproximateNumberOfMessagesVisible", where, "Maximum"),
        )

    def rule(self, pattern: dict[str, Any], bus: str | None, description: str) -> events.CfnRule:
        """A rule that sends what matches to the queue."""
        name = self.settings.name("fhir-changes")
        rule = events.CfnRule(
            self,
            "Rule",
            name=name,
            description=description,
            event_bus_name=bus,
            event_pattern=pattern,
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="queue",
                    arn=self.queue.queue.queue_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=self.queue.dead_letters.queue_arn
                    ),
                )
            ],
        )
        path = f"{bus}/{name}" if bus else name
        self.queue.fed_by(self.settings.arn("events", f"rule/{path}"))
        return rule

    def consume(self, function: lambda_.Function) -> None:
        self.queue.consumed_by(function, batch_size=_BATCH_SIZE, window_seconds=self._batch_seconds)

    @property
    def _batch_seconds(self) -> int:
        return min(_BATCH_SECONDS, self.settings.change_window_seconds)

    def landing(self, id_: str, folder: str, environment: dict[str, str], more: list[Permission], *,
                timeout_seconds: int) -> PackagedFunction:  # fmt: skip
        """A function that reads HealthLake and lands changes."""
        landing = self.storage.landing
        bus = str(self.export.resource_events.bus.name) if self.settings.resource_events else ""
        announce = [
            allow("Announce", ["events:PutEvents"], [self.settings.arn("events", f"event-bus/{bus}")])
        ]
        return PackagedFunction(
            self,
            id_,
            self.given,
            folder,
            {
                "HEALTHLAKE_ENDPOINT": self.export.endpoint,
                "DATASTORE_ID": self.export.datastore_id,
                "LANDING_BUCKET": landing.bucket_name,
                "CHANGES_TABLE": self.changes.table_name,
                "EVENT_BUS": bus,
                **environment,
            },
            [
                allow(
                    "RememberChanges",
                    ["dynamodb:BatchGetItem", "dynamodb:PutItem"],
                    [self.changes.table_arn],
                ),
                allow(
                    "WriteLanding",
                    ["s3:PutObject"],
                    [
                        landing.arn_for_objects("fhir_changes/*"),
                        landing.arn_for_objects("quarantine/source=fhir_changes/*"),
                    ],
                    reason=_NAMED,
                ),
                *(announce if bus else []),
                *more,
            ],
            timeout_seconds=timeout_seconds,
            memory_mb=512,
        )

    def alarm(self, suffix: str, what: str, counted: Counted) -> None:
        """Rings on the outcomes topic."""
        alarm(self, self.settings, self.export.topic, f"fhir-changes-{suffix}", what, counted)


class SubscriptionFeed(ChangeFeed):
    """HealthLake's subscriptions notify a bus of their own; what comes there lands.

    A bus apart from the one that announces changes: notifications may hold whole resources.
    """

    def __init__(
        self, scope: Construct, id_: str, given: Surroundings, storage: Storage, export: Export
    ) -> None:
        super().__init__(scope, id_, given, storage, export)
        name = self.settings.name("healthlake")
        arn = self.settings.arn("events", f"event-bus/{name}")
        # Its policy is a property and not a resource of its own, which the emulator does not know.
        statement = {
            "Sid": "HealthLake",
            "Effect": "Allow",
            "Principal": {"Service": "healthlake.amazonaws.com"},
            "Action": "events:PutEvents",
            "Resource": arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": self.settings.account}},
        }
        bus = events.CfnEventBus(
            self,
            "Bus",
            name=name,
            description="Notifications of HealthLake's subscriptions",
            kms_key_identifier=given.key.key_arn,
            policy={"Version": "2012-10-17", "Statement": [statement]},
        )
        self.rule(
            {"account": [self.settings.account]}, name, "What HealthLake's subscriptions tell of, all of it"
        ).node.add_dependency(bus)
        landed = self.landing(
            "LandFhirChanges",
            "land_fhir_changes",
            {},
            [
                allow("ReadResources", ["healthlake:ReadResource"], [self.export.datastore_arn]),
                consume_queue(self.queue.queue.queue_arn),
            ],
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        self.consume(landed.function)
        self.outputs["HealthLakeBusArn"] = arn


class CallFeed(ChangeFeed):
    """CloudTrail tells which type was called on; a search finds what changed of it."""

    def __init__(
        self, scope: Construct, id_: str, given: Surroundings, storage: Storage, export: Export
    ) -> None:
        super().__init__(scope, id_, given, storage, export)
        self.rule(
            {
                "source": ["aws.healthlake"],
                "detail-type": ["AWS API Call via CloudTrail"],
                "detail": {
                    "eventSource": ["healthlake.amazonaws.com"],
                    "eventName": _CALLS,
                    "requestParameters": {"datastoreId": [self.export.datastore_id]},
                },
            },
            None,
            "Calls that change resources of the data store, as CloudTrail tells of them",
        )
        name = self.settings.name("fhir-changes")
        self.machine_arn = self.settings.arn("states", f"stateMachine:{name}")
        self.machine = self._machine(name, self._find())
        self._note()
        self.alarm(
            "failed",
            "A search for changes, or a listing for deletions, failed",
            Counted("AWS/States", "ExecutionsFailed", {"StateMachineArn": self.machine_arn}),
        )
        self.outputs["ChangesMachineArn"] = self.machine_arn

    def _find(self) -> PackagedFunction:
        settings = self.settings
        return self.landing(
            "FindFhirChanges",
            "find_fhir_changes",
            {
                "SEARCH_OVERLAP_SECONDS": str(settings.search_overlap_seconds),
                "DELETE_MARGIN_SECONDS": str(settings.delete_margin_seconds),
                "DELETE_MAX_RESOURCES": str(settings.delete_max_resources),
            },
            [
                allow("SearchResources", ["healthlake:SearchWithGet"], [self.export.datastore_arn]),
                allow(
                    "WriteListings",
                    ["s3:PutObject"],
                    [
                        self.storage.landing.arn_for_objects("fhir/_exports/listing-*"),
                        self.storage.landing.arn_for_objects("fhir/_manifests/*/listing-*"),
                    ],
                    reason="Listings are named for their type and time.",
                ),
            ],
            timeout_seconds=_FIND_TIMEOUT_SECONDS,
        )

    def _machine(self, name: str, find: PackagedFunction) -> DefinedStateMachine:
        return DefinedStateMachine(
            self,
            "Search",
            self.given,
            name,
            DEFINITIONS / "fhir_changes.asl.json",
            {"ChangesTableName": self.changes.table_name, "FindFunctionArn": find.arn},
            [
                allow("ReadWindow", ["dynamodb:GetItem"], [self.changes.table_arn]),
                allow("Find", ["lambda:InvokeFunction"], [find.arn]),
                allow("UseKey", ["kms:Decrypt"], [self.given.key.key_arn]),
            ],
        )

    def _note(self) -> None:
        settings = self.settings
        noted = PackagedFunction(
            self,
            "NoteFhirChanges",
            self.given,
            "note_fhir_changes",
            {
                "DATASTORE_ID": self.export.datastore_id,
                "CHANGES_TABLE": self.changes.table_name,
                "MACHINE_ARN": self.machine_arn,
                "CHANGE_WINDOW_SECONDS": str(settings.change_window_seconds),
                # A call that is noticed at the window's end is written down within the function's time.
                "CHANGE_SETTLE_SECONDS": str(settings.search_settle_seconds),
                "DELETE_WINDOW_SECONDS": str(settings.delete_window_seconds),
                # Longer than the margin by the time of a search, so that the listing judges every deletion.
                "DELETE_SETTLE_SECONDS": str(settings.delete_margin_seconds + settings.search_settle_seconds),
            },
            [
                allow("WriteWindows", ["dynamodb:UpdateItem"], [self.changes.table_arn]),
                allow("StartSearches", ["states:StartExecution"], [self.machine_arn]),
                consume_queue(self.queue.queue.queue_arn),
            ],
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        noted.node.add_dependency(self.machine)
        self.consume(noted.function)
