"""A CloudWatch alarm on one figure, told to the outcomes topic. docs/runbook.md has an entry for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.names import camel
from infra.settings import Settings


@dataclass(frozen=True)
class Counted:
    """What is counted: a metric with its dimensions, and how its values of ``minutes`` become one."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"
    minutes: int = 5


@dataclass(frozen=True)
class Limit:
    """Where an alarm rings: at ``threshold`` and above, or with ``too_few`` below it; and whether it rings where
    there is no figure at all."""

    threshold: float = 1
    too_few: bool = False
    silence_rings: bool = False


_HOUR, _WEEK = 60, 7 * 24 * 60


def silence_minutes(settings: Settings) -> int:
    """How long what the export's schedule starts may be silent before an alarm rings: three schedules, an hour at
    least, and a week at most, since CloudWatch looks back no further."""
    return min(max(_HOUR, 3 * settings.export_schedule_minutes), _WEEK)


def alarm(
    scope: Construct,
    settings: Settings,
    topic: sns.Topic,
    suffix: str,
    what: str,
    counted: Counted,
    limit: Limit = Limit(),
) -> None:
    """``suffix`` ends the alarm's name, under which docs/runbook.md has it; ``what`` begins its description."""
    cloudwatch.CfnAlarm(
        scope,
        camel(f"alarm-{suffix}"),
        alarm_name=settings.name(suffix),
        alarm_description=f"{what}. docs/runbook.md says what to do",
        namespace=counted.namespace,
        metric_name=counted.metric,
        dimensions=[
            cloudwatch.CfnAlarm.DimensionProperty(name=key, value=value)
            for key, value in counted.dimensions.items()
        ],
        statistic=counted.statistic,
        period=60 * counted.minutes,
        evaluation_periods=1,
        comparison_operator="LessThanThreshold" if limit.too_few else "GreaterThanOrEqualToThreshold",
        threshold=limit.threshold,
        # Silence is what some are about, and what the others hope for.
        treat_missing_data="breaching" if limit.silence_rings else "notBreaching",
        alarm_actions=[topic.topic_arn],
        ok_actions=[topic.topic_arn],
    )
