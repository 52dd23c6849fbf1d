"""Alarms of the export workflow, each with its entry in docs/runbook.md. They ring on the outcomes topic."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarm import Counted, Limit, alarm, silence_minutes
from infra.queues import WorkQueue
from infra.settings import Settings


class ExportAlarms(Construct):
    """Failed, timed-out and aborted executions; parked messages; and, on a schedule, no landed run."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        settings: Settings,
        topic: sns.Topic,
        machine_arn: str,
        landing_function: str,
        queues: Mapping[str, WorkQueue],
    ) -> None:
        super().__init__(scope, id_)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": settings.account}},
            )
        )
        machine = {"StateMachineArn": machine_arn}
        for suffix, metric, what in (
            ("failed", "ExecutionsFailed", "An export run failed"),
            ("timed-out", "ExecutionsTimedOut", "An export run took more than a day"),
            ("aborted", "ExecutionsAborted", "An export run was stopped by hand"),
        ):
            counted = Counted("AWS/States", metric, machine)
            alarm(self, settings, topic, f"export-{suffix}", what, counted)
        for name, queue in queues.items():
            where = {"QueueName": queue.dead_letters.queue_name}
            alarm(
                self,
                settings,
                topic,
                f"export-{name}-parked",
                f"Messages that five invocations failed on wait in the dead-letter queue of export-{name}",
                Counted("AWS/SQS", "ApproximateNumberOfMessagesVisible", where, "Maximum"),
            )
        if settings.export_schedule_enabled:
            # Each run that lands, if only nothing, invokes this function; one that is skipped does not.
            minutes = silence_minutes(settings)
            where = {"FunctionName": landing_function}
            alarm(
                self,
                settings,
                topic,
                "export-stale",
                f"No export has landed for {minutes} minutes",
                Counted("AWS/Lambda", "Invocations", where, minutes=minutes),
                Limit(too_few=True, silence_rings=True),
            )
