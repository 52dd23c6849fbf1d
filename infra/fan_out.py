"""Telling others of item changes: a bus, a pipe from each table, a rule for each item type, one consumer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_pipes as pipes
from constructs import Construct

from infra.functions import PackagedFunction, Surroundings
from infra.item_tables import table as make_table
from infra.pipes import StreamPipe, Target, short_name
from infra.policies import accept, allow, consume
from infra.queues import WorkQueue, dead_letter_queue, let_send
from schemas.declaration import snake_case
from schemas.item_type import ItemType

PIPE_BATCH_SIZE = 5
"""PutEvents takes ten entries, and a change may be two events: one for the type an item left, one for the
type it has. More than ten, and the pipe does not call the bus at all."""

CHANGES = ("Insert", "Modify", "Remove")

SOURCE = "items"
"""Events come from ``<prefix>.items``."""

CONSUMER_TIMEOUT_SECONDS = 60
CONSUMER_BATCH = 100
CONSUMER_WINDOW_SECONDS = 5
"""A batch writes each patient once, however many of the changes concern them."""

RULE_RETRIES = 20
RULE_AGE_SECONDS = 6 * 3600


class FanOut(Construct):
    """The change bus; what is behind its rules; and the pipes that feed it."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        tables: Mapping[str, dynamodb.ITable],
        item_types: Iterable[ItemType],
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        settings = given.settings
        self.bus_name = settings.name("item-changes")
        bus = events.CfnEventBus(
            self,
            "Bus",
            name=self.bus_name,
            description="Changes of items, as lambdas/shape_item_change tells them",
            kms_key_identifier=given.key.key_arn,
        )
        self._feed(bus, tables)
        queues = [self._rule(bus, item_type) for item_type in sorted(item_types, key=lambda each: each.name)]
        self.activity = make_table(
            self,
            "PatientActivity",
            settings.name("patient-activity"),
            (("patientId", "S"),),
            settings,
            given.key,
            stream=False,
        )
        self._consume(queues)

    def _feed(self, bus: events.CfnEventBus, tables: Mapping[str, dynamodb.ITable]) -> None:
        settings = self._given.settings
        bus_arn = settings.arn("events", f"event-bus/{self.bus_name}")
        shape = PackagedFunction(self, "ShapeItemChange", self._given, "shape_item_change", {}, [])
        parameters = pipes.CfnPipe.PipeTargetParametersProperty(
            event_bridge_event_bus_parameters=pipes.CfnPipe.PipeTargetEventBridgeEventBusParametersProperty(
                detail_type="$.meta.changeType", source=f"{settings.prefix}.{SOURCE}"
            )
        )
        for name, table in tables.items():
            pipe_name = settings.name(f"tell-{short_name(name, settings.prefix)}")
            failures = dead_letter_queue(self, f"{table.node.id}Untold", f"{pipe_name}-dlq", self._given.key)
            accept(failures, "AwsSolutions-SQS3", "It is itself a dead-letter queue, that of a pipe.")
            pipe = StreamPipe(
                self,
                f"{table.node.id}Pipe",
                self._given,
                pipe_name,
                (name, table),
                Target(
                    bus_arn,
                    parameters,
                    [
                        allow("Shape", ["lambda:InvokeFunction"], [shape.arn]),
                        allow("Tell", ["events:PutEvents"], [bus_arn]),
                    ],
                    failures,
                    enrichment=shape.arn,
                ),
                batch_size=PIPE_BATCH_SIZE,
                window_seconds=0,
            )
            pipe.node.add_dependency(bus)

    def _rule(self, bus: events.CfnEventBus, item_type: ItemType) -> WorkQueue:
        """A rule, its queue, and the queue for what could be neither delivered nor dealt with."""
        settings = self._given.settings
        suffix = f"changes-{snake_case(item_type.name).replace('_', '-')}"
        scope = Construct(self, item_type.name)
        queue = WorkQueue(
            scope, "Changes", settings, self._given.key, suffix, consumer_timeout=CONSUMER_TIMEOUT_SECONDS
        )
        name = settings.name(suffix)
        rule = events.CfnRule(
            scope,
            "Rule",
            name=name,
            description=f"Changes of {item_type.name} items",
            event_bus_name=self.bus_name,
            event_pattern={
                "source": [f"{settings.prefix}.{SOURCE}"],
                "detail-type": [f"{item_type.name}{change}" for change in CHANGES],
            },
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="changes",
                    arn=queue.queue.queue_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=queue.dead_letters.queue_arn
                    ),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=RULE_RETRIES, maximum_event_age_in_seconds=RULE_AGE_SECONDS
                    ),
                )
            ],
        )
        rule.add_resource_dependency(bus)
        rule_arn = settings.arn("events", f"rule/{self.bus_name}/{name}")
        for each in (queue.queue, queue.dead_letters):
            let_send(each, "ChangesOfTheRule", "events", {"ArnEquals": {"aws:SourceArn": rule_arn}})
        return queue

    def _consume(self, queues: Iterable[WorkQueue]) -> None:
        """The consumer of this project; others add rules of their own to the bus."""
        consumed = list(queues)
        record = PackagedFunction(
            self,
            "RecordPatientActivity",
            self._given,
            "record_patient_activity",
            {"ACTIVITY_TABLE": self.activity.table_name},
            [
                *[consume(queue.arn, sid=f"Consume{index}") for index, queue in enumerate(consumed, start=1)],
                allow("KeepActivity", ["dynamodb:PutItem"], [self.activity.table_arn]),
            ],
            timeout_seconds=CONSUMER_TIMEOUT_SECONDS,
        )
        for queue in consumed:
            queue.consumed_by(
                record.function, batch_size=CONSUMER_BATCH, window_seconds=CONSUMER_WINDOW_SECONDS
            )
