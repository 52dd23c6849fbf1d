"""Landing FHIR: the export workflow around HealthLake's `$export`, its queues, functions, rules and state."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.export_alarms import ExportAlarms
from infra.functions import PackagedFunction, Surroundings
from infra.item_tables import table
from infra.policies import Permission, allow, consume, role, use_key
from infra.queues import WorkQueue, let_send
from infra.resource_events import ResourceEvents
from infra.state_machine import DEFINITIONS, DefinedStateMachine
from infra.storage import Storage

EXPORTED = "exports/"
"""Where HealthLake writes, in the exports bucket."""

MANIFESTS = "manifests/"
"""Where the list of an export's files is kept, in the exports bucket."""

_FUNCTION_TIMEOUT_SECONDS = 60
_COPY_TIMEOUT_SECONDS = 900
"""A multipart copy of a file of many GB, made by S3 itself, takes minutes."""

_OBJECTS = "Objects are named for the export and the file they belong to, under this one prefix."

_EXPORT_ENDS = ["Export Job Completed", "Export Job Completed With Errors", "Export Job Failed"]


_LONGEST_RETRY_SECONDS = 86_400
"""EventBridge's limit."""


class Export(Construct):
    """The capability: everything between the schedule and the started Glue workflow."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        storage: Storage,
        workflow_name: str,
        healthlake_endpoint: str,
        datastore_id: str,
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        self._settings = given.settings
        self._storage = storage
        self.endpoint = self._endpoint = healthlake_endpoint
        self.datastore_id = self._datastore_id = datastore_id
        self._machine_name = self._settings.name("export")
        self._machine_arn = self._settings.arn("states", f"stateMachine:{self._machine_name}")
        self.datastore_arn = self._settings.arn("healthlake", f"datastore/fhir/{datastore_id}")
        self.state = table(
            self, "State", self._settings.name("export-state"), (("id", "S"),), self._settings, given.key,
            stream=False,
        )  # fmt: skip
        self.start_queue = self._queue("StartQueue", "export-start")
        self.poll_queue = self._queue("PollQueue", "export-poll")
        self.topic = sns.Topic(
            self,
            "Outcomes",
            topic_name=self._settings.name("outcomes"),
            display_name="Watershed: how exports and runs ended",
            master_key=given.key,
            enforce_ssl=True,
        )
        if self._settings.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(self._settings.alarm_email))
        self.export_role = self._export_role()
        self._start_export()
        self.poll_export = self._poll_export()
        self.land_export = self._land_export()
        self.resource_events = ResourceEvents(self, "ResourceEvents", given, storage)
        self.machine = self._machine(workflow_name)
        ExportAlarms(
            self,
            "Alarms",
            self._settings,
            self.topic,
            self._machine_arn,
            self.land_export.function.function_name,
            {"start": self.start_queue, "poll": self.poll_queue},
        )
        self._schedule()
        self._healthlake_events()

    def _queue(self, id_: str, suffix: str) -> WorkQueue:
        return WorkQueue(self, id_, self._settings, self._given.key, suffix, _FUNCTION_TIMEOUT_SECONDS)

    def _export_role(self) -> iam.IRole:
        """What HealthLake itself may do while it exports: write under `exports/`, for this data store
        only."""
        scope = Construct(self, "HealthLake")
        exports = self._storage.exports
        return role(
            scope,
            self._settings.name("healthlake-export"),
            iam.ServicePrincipal(
                "healthlake.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": self._settings.account},
                    "ArnEquals": {"aws:SourceArn": self.datastore_arn},
                },
            ),
            "HealthLake assumes this to write exports",
            [
                allow(
                    "CheckBucket",
                    ["s3:ListBucket", "s3:GetBucketPublicAccessBlock", "s3:GetEncryptionConfiguration"],
                    [exports.bucket_arn],
                ),
                allow(
                    "WriteExports",
                    ["s3:PutObject"],
                    [exports.arn_for_objects(f"{EXPORTED}*")],
                    reason=_OBJECTS,
                ),
                use_key(self._given.key.key_arn, write=True),
            ],
        )

    def _tokens(self, *actions: str) -> Permission:
        return allow(
            "AnswerTasks",
            [f"states:SendTask{action}" for action in actions],
            ["*"],
            reason="These actions know no resource: whoever holds a task's token may answer it.",
        )

    def _start_export(self) -> PackagedFunction:
        made = PackagedFunction(
            self,
            "StartExport",
            self._given,
            "start_export",
            {
                **self._common_environment(),
                "EXPORTS_BUCKET": self._storage.exports.bucket_name,
                "EXPORT_PREFIX": EXPORTED,
                "EXPORT_ROLE_ARN": self.export_role.role_arn,
                "EXPORT_KMS_KEY_ARN": self._given.key.key_arn,
                "START_QUEUE_URL": self.start_queue.queue.queue_url,
            },
            [
                allow(
                    "StartExports",
                    ["healthlake:StartFHIRExportJobWithPost", "healthlake:ListFHIRExportJobs"],
                    [self.datastore_arn],
                ),
                allow(
                    "PassExportRole",
                    ["iam:PassRole"],
                    [self.export_role.role_arn],
                    {"StringEquals": {"iam:PassedToService": "healthlake.amazonaws.com"}},
                ),
                self._state("GetItem", "PutItem", "UpdateItem"),
                consume(self.start_queue.queue.queue_arn),
                allow(
                    "QueueSteps",
                    ["sqs:SendMessage"],
                    [self.start_queue.queue.queue_arn, self.poll_queue.queue.queue_arn],
                ),
                self._tokens("Failure", "Heartbeat"),
            ],
            timeout_seconds=_FUNCTION_TIMEOUT_SECONDS,
        )
        self.start_queue.consumed_by(made.function)
        return made

    def _poll_export(self) -> PackagedFunction:
        made = PackagedFunction(
            self,
            "PollExport",
            self._given,
            "poll_export",
            {
                **self._common_environment(),
                "EXPORTS_BUCKET": self._storage.exports.bucket_name,
                "MANIFEST_PREFIX": MANIFESTS,
            },
            [
                allow(
                    "FollowExports",
                    ["healthlake:DescribeFHIRExportJobWithGet", "healthlake:CancelFHIRExportJobWithDelete"],
                    [self.datastore_arn],
                ),
                self._state("GetItem", "UpdateItem"),
                consume(self.poll_queue.queue.queue_arn),
                allow("QueuePolls", ["sqs:SendMessage"], [self.poll_queue.queue.queue_arn]),
                allow(
                    "WriteManifests",
                    ["s3:PutObject"],
                    [self._storage.exports.arn_for_objects(f"{MANIFESTS}*")],
                    reason=_OBJECTS,
                ),
                self._tokens("Success", "Failure", "Heartbeat"),
            ],
            timeout_seconds=_FUNCTION_TIMEOUT_SECONDS,
        )
        self.poll_queue.consumed_by(made.function)
        return made

    def _land_export(self) -> PackagedFunction:
        exports, landing = self._storage.exports, self._storage.landing
        return PackagedFunction(
            self,
            "LandExport",
            self._given,
            "land_export",
            {
                "EXPORTS_BUCKET": exports.bucket_name,
                "LANDING_BUCKET": landing.bucket_name,
                "EXPORT_PREFIX": EXPORTED,
                "MANIFEST_PREFIX": MANIFESTS,
            },
            [
                allow(
                    "ReadExports",
                    ["s3:GetObject"],
                    [exports.arn_for_objects(f"{EXPORTED}*"), exports.arn_for_objects(f"{MANIFESTS}*")],
                    reason=_OBJECTS,
                ),
                allow(
                    "WriteLanding",
                    ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"],
                    [landing.arn_for_objects("fhir/*")],
                    reason=_OBJECTS,
                ),
                # Without it a missing object is answered with 403, which reads like a lack of permission.
                allow("FindMissing", ["s3:ListBucket"], [exports.bucket_arn, landing.bucket_arn]),
            ],
            timeout_seconds=_COPY_TIMEOUT_SECONDS,
            memory_mb=512,
        )

    def _common_environment(self) -> dict[str, str]:
        return {
            "HEALTHLAKE_ENDPOINT": self._endpoint,
            "DATASTORE_ID": self._datastore_id,
            "STATE_TABLE": self.state.table_name,
            "POLL_QUEUE_URL": self.poll_queue.queue.queue_url,
            "POLL_DELAY_SECONDS": str(self._settings.poll_delay_seconds),
            "LEASE_SECONDS": str(self._settings.export_lease_seconds),
        }

    def _state(self, *actions: str) -> Permission:
        return allow("KeepState", [f"dynamodb:{action}" for action in actions], [self.state.table_arn])

    def _machine(self, workflow_name: str) -> DefinedStateMachine:
        settings = self._settings
        executions = settings.arn("states", f"execution:{self._machine_name}")
        default_bus = settings.arn("events", "event-bus/default")
        return DefinedStateMachine(
            self,
            "Workflow",
            self._given,
            self._machine_name,
            DEFINITIONS / "export.asl.json",
            {
                "StateTableName": self.state.table_name,
                "StartQueueUrl": self.start_queue.queue.queue_url,
                "PollQueueUrl": self.poll_queue.queue.queue_url,
                "LandExportFunctionArn": self.land_export.arn,
                "ExportsBucketName": self._storage.exports.bucket_name,
                "LandingBucketName": self._storage.landing.bucket_name,
                "OutcomesTopicArn": self.topic.topic_arn,
                "WorkflowName": workflow_name,
                "LeaseSeconds": str(settings.export_lease_seconds),
                "PublishResourcesFunctionArn": self.resource_events.publish.arn,
                "ResourceEvents": str(settings.resource_events).lower(),
            },
            [
                self._state("GetItem", "PutItem", "UpdateItem"),
                allow("QueueStart", ["sqs:SendMessage"], [self.start_queue.queue.queue_arn]),
                allow(
                    "LandFiles",
                    ["lambda:InvokeFunction"],
                    [self.land_export.arn, self.resource_events.publish.arn],
                ),
                allow(
                    "ReadManifests",
                    ["s3:GetObject"],
                    [self._storage.exports.arn_for_objects(f"{MANIFESTS}*")],
                    reason=_OBJECTS,
                ),
                # A Distributed Map runs its items as executions of the same machine.
                allow("MapFiles", ["states:StartExecution"], [self._machine_arn]),
                allow(
                    "FollowMap",
                    ["states:DescribeExecution", "states:RedriveExecution"],
                    [f"{executions}:*", f"{executions}/*"],
                    reason="Executions of this machine only; Step Functions names them and those of the map.",
                ),
                allow(
                    "StartWorkflow",
                    ["glue:StartWorkflowRun"],
                    [settings.arn("glue", f"workflow/{workflow_name}")],
                ),
                allow("Announce", ["sns:Publish"], [self.topic.topic_arn]),
                allow("SendEvents", ["events:PutEvents"], [default_bus]),
                use_key(self._given.key.key_arn, write=True),
            ],
        )

    def _schedule(self) -> None:
        settings = self._settings
        name = settings.name("export-schedule")
        scope = Construct(self, "Schedule")
        starter = role(
            scope,
            name,
            iam.ServicePrincipal("events.amazonaws.com"),
            "The schedule assumes this to start exports",
            [allow("StartExport", ["states:StartExecution"], [self._machine_arn])],
        )
        minutes = settings.export_schedule_minutes
        events.CfnRule(
            scope,
            "Rule",
            name=name,
            description="Starts an incremental export; one that finds another running ends as skipped",
            schedule_expression=f"rate({minutes} minute{'' if minutes == 1 else 's'})",
            state="ENABLED" if settings.export_schedule_enabled else "DISABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="export",
                    arn=self._machine_arn,
                    role_arn=starter.role_arn,
                    input='{"mode":"incremental"}',
                    # The next tick does what a missed one would have done.
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=2,
                        maximum_event_age_in_seconds=min(60 * minutes, _LONGEST_RETRY_SECONDS),
                    ),
                )
            ],
        ).node.add_dependency(self.machine)

    def _healthlake_events(self) -> None:
        name = self._settings.name("export-events")
        pattern: dict[str, Any] = {
            "source": ["aws.healthlake"],
            "detail-type": _EXPORT_ENDS,
            "detail": {"datastoreId": [self._datastore_id]},
        }
        rule = events.CfnRule(
            self,
            "HealthLakeEvents",
            name=name,
            description="HealthLake tells that an export ended; polling is only the safety net",
            event_pattern=pattern,
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="poll",
                    arn=self.poll_export.arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=self.poll_queue.dead_letters.queue_arn
                    ),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=10, maximum_event_age_in_seconds=3600
                    ),
                )
            ],
        )
        lambda_.CfnPermission(
            self,
            "HealthLakeEventsInvoke",
            action="lambda:InvokeFunction",
            function_name=self.poll_export.arn,
            principal="events.amazonaws.com",
            source_arn=rule.attr_arn,
        )
        let_send(
            self.poll_queue.dead_letters,
            "UndeliverableEvents",
            "events",
            {"ArnEquals": {"aws:SourceArn": self._settings.arn("events", f"rule/{name}")}},
        )
