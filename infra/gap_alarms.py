"""Alarms that say when item changes are about to be lost, or wait to be replayed, before anybody asks."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.settings import Settings

ITERATOR_AGE_HOURS = 6
"""How far the function may be behind the stream: then a batch is parked, and three quarters of the 24 hours
that the stream keeps are left to mend what is wrong."""

EVENT_COUNT = "EventCount"
"""The metrics of a mapping that count what became of its events."""


class GapAlarms(Construct):
    """One alarm for each table's mapping on parked batches, and one on how old the records read are.

    `topic` lets the account's alarms publish (`ExportAlarms`).
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        settings: Settings,
        function: lambda_.IFunction,
        mappings: Mapping[str, lambda_.CfnEventSourceMapping],
        topic: sns.Topic,
    ) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self._action = actions.SnsAction(topic)
        age = function.metric("IteratorAge", statistic="Maximum", period=Duration.minutes(5))
        self._alarm(
            "IteratorAge",
            "items-iterator-age",
            age,
            ITERATOR_AGE_HOURS * 3600 * 1000,
            "Item changes are read from the stream hours late, and it forgets them after 24. See why"
            " land_item_changes fails; what is lost comes back with: watershed items backfill --aws",
        )
        for table, mapping in mappings.items():
            parked = cloudwatch.Metric(
                namespace="AWS/Lambda",
                metric_name="OnFailureDestinationDeliveredEventCount",
                dimensions_map={"EventSourceMappingUUID": mapping.ref},
                statistic="Sum",
                period=Duration.minutes(5),
            )
            self._alarm(
                f"Parked{mapping.node.id}",
                f"items-parked-{table}",
                parked,
                1,
                f"Changes of {table} could not be landed and wait in the failure bucket. Land them with:"
                " watershed replay --source items --from failures --aws",
            )

    def _alarm(
        self, id_: str, name: str, metric: cloudwatch.IMetric, threshold: float, description: str
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_name=self._settings.name(name),
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            # A stream without changes gives no figures.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(self._action)
