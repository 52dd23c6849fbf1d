"""Alarms of the export workflow, each with its entry in docs/exports.md. They ring on the outcomes topic."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.queues import WorkQueue
from infra.settings import Settings

STALE_MINUTES = 60
"""A scheduled run that landed nothing in this time means that data is not current."""


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
        self._settings, self._topic = settings, topic
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
            self._alarm(suffix, what, ("AWS/States", metric, machine), statistic="Sum")
        for name, queue in queues.items():
            where = {"QueueName": queue.dead_letters.queue_name}
            self._alarm(
                f"{name}-parked",
                f"Messages that five invocations failed on wait in the dead-letter queue of export-{name}",
                ("AWS/SQS", "ApproximateNumberOfMessagesVisible", where),
                statistic="Maximum",
            )
        if settings.export_schedule_enabled:
            # Each run that lands, if only nothing, invokes this function; one that is skipped does not.
            self._alarm(
                "stale",
                f"No export has landed for {STALE_MINUTES} minutes",
                ("AWS/Lambda", "Invocations", {"FunctionName": landing_function}),
                statistic="Sum",
                minutes=max(STALE_MINUTES, 3 * settings.export_schedule_minutes),
                too_few=True,
            )

    def _alarm(
        self,
        suffix: str,
        what: str,
        metric: tuple[str, str, Mapping[str, str]],
        *,
        statistic: str,
        minutes: int = 5,
        too_few: bool = False,
    ) -> None:
        namespace, name, dimensions = metric
        cloudwatch.CfnAlarm(
            self,
            "".join(part.capitalize() for part in suffix.split("-")),
            alarm_name=self._settings.name(f"export-{suffix}"),
            alarm_description=f"{what}. docs/exports.md says what to do",
            namespace=namespace,
            metric_name=name,
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name=key, value=value)
                for key, value in dimensions.items()
            ],
            statistic=statistic,
            period=60 * minutes,
            evaluation_periods=1,
            comparison_operator="LessThanThreshold" if too_few else "GreaterThanOrEqualToThreshold",
            threshold=1,
            # Silence is what the one is about, and what the others hope for.
            treat_missing_data="breaching" if too_few else "notBreaching",
            alarm_actions=[self._topic.topic_arn],
            ok_actions=[self._topic.topic_arn],
        )
