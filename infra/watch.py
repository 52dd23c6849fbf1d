"""Watching the deployment: alarms on what runs after landing and on every dead-letter queue, and the dashboard.

The other alarms stand beside what they watch: `export_alarms.py`, `gap_alarms.py`, `change_feed.py`, `control_alarms.py`,
`crawl_events.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarm import Counted, Limit, alarm, silence_minutes
from infra.catalog import TWIN_ZONE
from infra.settings import Settings
from infra.workflow import JOBS, STEPS

QUARANTINED_PERCENT = 1.0
"""Of what a run read: single bad lines happen at any source, a changed source spoils many."""

ROWS_LOST_PERCENT = 20.0
"""Of a table, in one run: more than patients leave, and what a broken source or join looks like."""

ATHENA_DAILY_CUTOFFS = 10
"""A day's queries may scan as much as this many queries at the cutoff; then somebody should know."""

DEAD_LETTERS = "-dlq"
"""How the name of a queue for what nothing could deal with ends."""


class Watch(Construct):
    """Alarms on runs, tables, dead letters and Athena."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        settings: Settings,
        topic: sns.Topic,
        tables: Iterable[str],
        work_group: str,
    ) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self._topic = topic
        self._failures()
        self._conforming()
        for table in tables:
            self._behind(table, f"Table {table} does not show what its sources hold")
            self._shrank(table)
        if settings.has_twin:
            # One for all its tables: each follows a curated table, which has alarms of its own.
            self._behind(TWIN_ZONE, "The de-identified twin does not show what the curated tables do")
        self._dead_letters()
        self._athena(work_group)

    def _alarm(self, suffix: str, what: str, counted: Counted, limit: Limit = Limit()) -> None:  # noqa: B008
        alarm(self, self._settings, self._topic, suffix, what, counted, limit)

    def _failures(self) -> None:
        """Glue tells EventBridge how each job and crawl ended, those too that were killed before they could
        tell anything themselves."""
        names = {"job": [self._settings.name(name) for name in JOBS]}
        names["crawler"] = [
            self._settings.name(node.name) for step in STEPS for node in step.starts if node.kind == "crawler"
        ]
        patterns = {
            "job": (
                "Glue Job State Change",
                {"jobName": names["job"], "state": ["FAILED", "TIMEOUT", "ERROR"]},
            ),
            "crawler": (
                "Glue Crawler State Change",
                {"crawlerName": names["crawler"], "state": ["Failed"]},
            ),
        }
        rules = []
        for kind, (detail_type, detail) in patterns.items():
            name = self._settings.name(f"{kind}-failed")
            events.CfnRule(
                self,
                f"{kind.capitalize()}Failed",
                name=name,
                description=f"A {kind} failed: tells the topic of outcomes which, and how",
                event_pattern={"source": ["aws.glue"], "detail-type": [detail_type], "detail": detail},
                state="ENABLED",
                targets=[
                    events.CfnRule.TargetProperty(
                        id="outcomes",
                        arn=self._topic.topic_arn,
                        # Not the whole event: its message may quote an error of Spark's, and that a value.
                        input_transformer=events.CfnRule.InputTransformerProperty(
                            input_paths_map={"name": f"$.detail.{kind}Name", "state": "$.detail.state"},
                            input_template=f'"{kind.capitalize()} <name> ended <state>. See docs/runbook.md"',
                        ),
                    )
                ],
            )
            rules.append(self._settings.arn("events", f"rule/{name}"))
            self._alarm(
                f"{kind}-failed",
                f"A {kind} of Glue failed, ran out of time, or was ended",
                Counted("AWS/Events", "TriggeredRules", {"RuleName": name}),
            )
        self._topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="GlueEnds",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self._topic.topic_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rules}},
            )
        )

    def _conforming(self) -> None:
        for job in ("conform-items", "conform-fhir"):
            self._alarm(
                f"quarantine-{job}",
                f"A run of {job} put {QUARANTINED_PERCENT:g} % or more of what it read into quarantine",
                self._own("QuarantinedPercent", "Job", job.replace("-", "_")),
                Limit(QUARANTINED_PERCENT),
            )

    def _own(self, metric: str, dimension: str, value: str, minutes: int = 5) -> Counted:
        return Counted(self._settings.metrics_namespace, metric, {dimension: value}, "Maximum", minutes)

    def _behind(self, table: str, what: str) -> None:
        settings = self._settings
        scheduled = settings.export_schedule_enabled
        minutes = silence_minutes(settings)
        self._alarm(
            f"table-behind-{table}",
            f"{what}: an audit failed, rows could not be made, or no run has ended for {minutes} minutes",
            self._own("Behind", "Table", table, minutes if scheduled else 5),
            Limit(silence_rings=scheduled),
        )

    def _shrank(self, table: str) -> None:
        self._alarm(
            f"table-shrank-{table}",
            f"Table {table} lost {ROWS_LOST_PERCENT:g} % or more of its rows in one run",
            self._own("RowsLostPercent", "Table", table),
            Limit(ROWS_LOST_PERCENT),
        )

    def _dead_letters(self) -> None:
        """One for each queue of the stack that has none yet."""
        stack = Stack.of(self)
        watched = [
            stack.resolve(dimension.value)
            for each in stack.node.find_all()
            if isinstance(each, cloudwatch.CfnAlarm)
            for dimension in _dimensions(each)
        ]
        for queue in stack.node.find_all():
            if not isinstance(queue, sqs.CfnQueue):
                continue
            name = str(queue.queue_name)
            if name.endswith(DEAD_LETTERS) and stack.resolve(queue.attr_queue_name) not in watched:
                suffix = name.removeprefix(f"{self._settings.prefix}-")
                self._alarm(
                    f"dead-letters-{suffix.removesuffix(DEAD_LETTERS)}",
                    f"What nothing could deal with waits in {name}",
                    Counted(
                        "AWS/SQS",
                        "ApproximateNumberOfMessagesVisible",
                        {"QueueName": queue.attr_queue_name},
                        "Maximum",
                    ),
                )

    def _athena(self, work_group: str) -> None:
        limit = ATHENA_DAILY_CUTOFFS * self._settings.athena_cutoff_bytes
        self._alarm(
            "athena-bytes",
            f"Queries have scanned {limit / 1e12:g} TB within a day",
            Counted(
                "AWS/Athena",
                "ProcessedBytes",
                # CloudWatch has the figure by all three, and by none of them alone.
                {"WorkGroup": work_group, "QueryState": "SUCCEEDED", "QueryType": "DML"},
                minutes=1440,
            ),
            Limit(limit),
        )


def _dimensions(each: cloudwatch.CfnAlarm) -> Sequence[cloudwatch.CfnAlarm.DimensionProperty]:
    found = each.dimensions
    return (
        [one for one in found if isinstance(one, cloudwatch.CfnAlarm.DimensionProperty)]
        if isinstance(found, list)
        else []
    )


_ROWS: Mapping[str, tuple[str, ...]] = {
    "Landing": ("items-", "export-", "fhir-changes-", "dead-letters-"),
    "Runs": ("job-failed", "crawler-failed", "crawl-waits-", "quarantine-"),
    "Tables": ("table-behind-", "table-shrank-"),
    "Control plane": ("control-",),
    "Athena": ("athena-",),
}
"""The dashboard from top to bottom: titles, and how the names of the alarms begin whose figures they hold."""

_ALARMS_A_WIDGET = 100
"""CloudWatch's limit."""


class Dashboard(Construct):
    """The state of every alarm, and the figures that they watch. Make it last: it shows what is there."""

    def __init__(self, scope: Construct, id_: str, settings: Settings) -> None:
        super().__init__(scope, id_)
        alarms = {
            str(each.alarm_name).removeprefix(f"{settings.prefix}-"): each
            for each in Stack.of(self).node.find_all()
            if isinstance(each, cloudwatch.CfnAlarm)
        }
        board = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=settings.prefix,
            default_interval=Duration.hours(24),
        )
        for title, beginnings in _ROWS.items():
            shown = {name: each for name, each in sorted(alarms.items()) if name.startswith(beginnings)}
            if shown:
                board.add_widgets(cloudwatch.TextWidget(markdown=f"## {title}", width=24, height=1))
                board.add_widgets(*self._states(title, shown), *_figures(shown.values()))

    def _states(self, title: str, shown: Mapping[str, cloudwatch.CfnAlarm]) -> Iterator[cloudwatch.IWidget]:
        alarms = [
            cloudwatch.Alarm.from_alarm_arn(self, f"Alarm{name}", each.attr_arn)
            for name, each in shown.items()
        ]
        for start in range(0, len(alarms), _ALARMS_A_WIDGET):
            some = alarms[start : start + _ALARMS_A_WIDGET]
            height = min(2 + len(some) // 4, 12)
            yield cloudwatch.AlarmStatusWidget(
                title=f"{title}: docs/runbook.md has an entry for each", width=24, height=height, alarms=some
            )


def _figures(alarms: Iterable[cloudwatch.CfnAlarm]) -> Iterator[cloudwatch.IWidget]:
    """A graph of each metric, with all that the alarms watch of it."""
    by_metric: dict[str, list[cloudwatch.IMetric]] = {}
    for each in alarms:
        by_metric.setdefault(str(each.metric_name), []).append(_metric(each))
    for name, metrics in by_metric.items():
        yield cloudwatch.GraphWidget(title=name, left=metrics, width=8, height=6)


def _metric(each: cloudwatch.CfnAlarm) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=str(each.namespace),
        metric_name=str(each.metric_name),
        dimensions_map={one.name: one.value for one in _dimensions(each)},
        statistic=str(each.statistic),
        period=Duration.minutes(5),
    )
