"""A CloudWatch alarm on a count, told to the outcomes topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.settings import Settings


@dataclass(frozen=True)
class Counted:
    """What is counted: a metric with its dimensions, and how its values of ``minutes`` become one."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"
    minutes: int = 5


def alarm(
    scope: Construct,
    settings: Settings,
    topic: sns.Topic,
    suffix: str,
    what: str,
    counted: Counted,
    *,
    too_few: bool = False,
) -> None:
    """Rings at the first of what is counted, or with ``too_few`` where there is none.

    ``suffix`` ends the alarm's name and ``what`` begins its description; docs/exports.md has an entry for it.
    """
    cloudwatch.CfnAlarm(
        scope,
        "".join(part.capitalize() for part in ("alarm", *suffix.split("-"))),
        alarm_name=settings.name(suffix),
        alarm_description=f"{what}. docs/exports.md says what to do",
        namespace=counted.namespace,
        metric_name=counted.metric,
        dimensions=[
            cloudwatch.CfnAlarm.DimensionProperty(name=key, value=value)
            for key, value in counted.dimensions.items()
        ],
        statistic=counted.statistic,
        period=60 * counted.minutes,
        evaluation_periods=1,
        comparison_operator="LessThanThreshold" if too_few else "GreaterThanOrEqualToThreshold",
        threshold=1,
        # Silence is what the one is about, and what the others hope for.
        treat_missing_data="breaching" if too_few else "notBreaching",
        alarm_actions=[topic.topic_arn],
        ok_actions=[topic.topic_arn],
    )
