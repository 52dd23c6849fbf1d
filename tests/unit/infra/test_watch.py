"""Every alarm has its entry in the runbook, rings on the one topic, and is on the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.alarm import silence_minutes
from infra.policies import flat
from schemas.model import load_models
from schemas.view import load_views
from tests.unit.infra.assemblies import ON_AWS, VARIANTS, template, variant

Resources = Callable[[str], dict[str, dict[str, Any]]]

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"
_ENTRIES = re.findall(r"^\| `(watershed-[^`]+)` \|", RUNBOOK.read_text(), re.MULTILINE)


def _pattern(entry: str) -> str:
    """`watershed-items-parked-<table>` as a regular expression for the alarms that it is about."""
    return re.sub(r"<[a-z]+>", "[a-z0-9_-]+", entry)


def _alarms(name: str) -> dict[str, dict[str, Any]]:
    found = template(variant(name))["Resources"].values()
    return {
        each["Properties"]["AlarmName"]: each["Properties"]
        for each in found
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }


@pytest.fixture(scope="module")
def alarms() -> dict[str, dict[str, Any]]:
    """The alarms of all variants: together they hold each there is."""
    return {name: each for stack in VARIANTS for name, each in _alarms(stack).items()}


def test_every_alarm_has_one_entry_in_the_runbook(alarms: dict[str, dict[str, Any]]) -> None:
    for name in alarms:
        exact = [entry for entry in _ENTRIES if entry == name]
        entries = exact or [entry for entry in _ENTRIES if re.fullmatch(_pattern(entry), name)]
        assert len(entries) == 1, f"{name}: {entries}"


def test_every_entry_is_about_an_alarm(alarms: dict[str, dict[str, Any]]) -> None:
    for entry in _ENTRIES:
        assert [name for name in alarms if re.fullmatch(_pattern(entry), name)], entry


def test_alarms_ring_on_the_topic(alarms: dict[str, dict[str, Any]]) -> None:
    for name, each in alarms.items():
        assert [flat(action) for action in each["AlarmActions"]], name
        assert each["AlarmDescription"], name


def test_every_table_is_watched(alarms: dict[str, dict[str, Any]]) -> None:
    for table in (*load_views(), *load_models()):
        behind, shrank = alarms[f"watershed-table-behind-{table}"], alarms[f"watershed-table-shrank-{table}"]
        assert behind["Namespace"] == shrank["Namespace"] == "Watershed/watershed"
        assert behind["Dimensions"] == [{"Name": "Table", "Value": table}]
        assert (behind["Period"], behind["TreatMissingData"]) == (3600, "breaching")
        assert (shrank["Threshold"], shrank["TreatMissingData"]) == (20, "notBreaching")


def test_what_comes_every_other_day_may_be_silent_for_six() -> None:
    alarms = _alarms("cloudtrail")
    stale, behind = alarms["watershed-export-stale"], alarms["watershed-table-behind-patient"]
    assert stale["Period"] == behind["Period"] == 6 * 86_400
    assert "for 8640 minutes" in stale["AlarmDescription"]
    assert "for 8640 minutes" in behind["AlarmDescription"]


@pytest.mark.parametrize("minutes", [1, 5, 60, 1440, 5000, 100_000])
def test_no_alarm_looks_back_further_than_cloudwatch_does(minutes: int) -> None:
    """A week: botocore's documentation of PutMetricAlarm."""
    period = 60 * silence_minutes(replace(ON_AWS, export_schedule_minutes=minutes))
    assert 3600 <= period <= 604_800
    assert period >= min(3 * 60 * minutes, 604_800)


@pytest.mark.parametrize("stack", VARIANTS)
def test_every_dead_letter_queue_has_one_alarm(stack: str) -> None:
    body = template(variant(stack))
    queues = {
        logical_id
        for logical_id, each in body["Resources"].items()
        if each["Type"] == "AWS::SQS::Queue" and each["Properties"]["QueueName"].endswith("-dlq")
    }
    watched = [
        dimension["Value"]["Fn::GetAtt"][0]
        for each in _alarms(stack).values()
        for dimension in each["Dimensions"]
        if dimension["Name"] == "QueueName" and dimension["Value"]["Fn::GetAtt"][0] in queues
    ]
    assert sorted(watched) == sorted(queues)
    assert queues


def test_what_ends_badly_in_glue_rings_and_tells(resources: Resources) -> None:
    rules = {
        each["Properties"]["Name"]: each["Properties"] for each in resources("AWS::Events::Rule").values()
    }
    (topic,) = resources("AWS::SNS::Topic")
    jobs = {each["Properties"]["Name"] for each in resources("AWS::Glue::Job").values()}
    crawlers = {each["Properties"]["Name"] for each in resources("AWS::Glue::Crawler").values()}
    for kind, names in (("job", jobs), ("crawler", crawlers)):
        rule = rules[f"watershed-{kind}-failed"]
        assert set(rule["EventPattern"]["detail"][f"{kind}Name"]) == names
        (target,) = rule["Targets"]
        assert target["Arn"] == {"Ref": topic}
        # What Glue says of a failure may quote data; the mail names what failed.
        assert target["InputTransformer"]["InputPathsMap"] == {
            "name": f"$.detail.{kind}Name",
            "state": "$.detail.state",
        }
    (policy,) = resources("AWS::SNS::TopicPolicy").values()
    (statement,) = (
        each for each in policy["Properties"]["PolicyDocument"]["Statement"] if each.get("Sid") == "GlueEnds"
    )
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        f"arn:aws:events:eu-west-1:123456789012:rule/watershed-{kind}-failed" for kind in ("job", "crawler")
    ]


def test_the_dashboard_shows_every_alarm_and_its_figure(resources: Resources) -> None:
    (board,) = resources("AWS::CloudWatch::Dashboard").values()
    body = flat(board["Properties"]["DashboardBody"])
    widgets = json.loads(body)["widgets"]
    deployed = resources("AWS::CloudWatch::Alarm")
    shown = [alarm for each in widgets for alarm in each["properties"].get("alarms", ())]
    assert sorted(shown) == sorted(f"<{logical_id}.Arn>" for logical_id in deployed)
    # CloudWatch's limit for one widget.
    assert max(len(each["properties"].get("alarms", ())) for each in widgets) <= 100
    drawn = {
        (metric[0], metric[1], metric[3])
        for each in widgets
        for metric in each["properties"].get("metrics", ())
    }
    for each in deployed.values():
        properties = each["Properties"]
        first = flat(properties["Dimensions"][0]["Value"])
        assert any(
            namespace == properties["Namespace"] and metric == properties["MetricName"]
            for namespace, metric, _ in drawn
        ), (properties["AlarmName"], first)
