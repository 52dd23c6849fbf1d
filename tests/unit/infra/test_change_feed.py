"""The change feeds' part of the template: queues, roles, the bus that HealthLake may put into."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.unit.infra.assemblies import ON_AWS, template, with_feed

Template = dict[str, Any]


@pytest.fixture(scope="module")
def calls() -> Template:
    return template(with_feed("cloudtrail"))


@pytest.fixture(scope="module")
def subscription() -> Template:
    return template(with_feed("subscription"))


def of(body: Template, kind: str, name: str, value: str) -> dict[str, Any]:
    """The properties of the one resource of a type that has this name."""
    (found,) = (
        each["Properties"]
        for each in body["Resources"].values()
        if each["Type"] == kind and each["Properties"].get(name) == value
    )
    return dict(found)


def statements(body: Template, role: str) -> dict[str, dict[str, Any]]:
    (policy,) = of(body, "AWS::IAM::Role", "RoleName", role)["Policies"]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def test_without_a_feed_there_is_nothing_of_it(template: Template) -> None:
    assert not [name for name in template["Resources"] if name.startswith("ChangeFeed")]


def test_only_calls_that_change_this_data_store_are_noticed(calls: Template) -> None:
    pattern = of(calls, "AWS::Events::Rule", "Name", "watershed-fhir-changes")["EventPattern"]
    assert pattern["detail"]["eventName"] == [
        "CreateResource",
        "UpdateResource",
        "PatchResource",
        "DeleteResource",
    ]
    assert pattern["detail"]["requestParameters"]["datastoreId"] == [{"Ref": "HealthLakeDatastoreId"}]


@pytest.mark.parametrize("feed", ["cloudtrail", "subscription"])
def test_a_message_that_fails_is_kept_and_rings(feed: str) -> None:
    body = template(with_feed(feed))
    queue = of(body, "AWS::SQS::Queue", "QueueName", "watershed-fhir-changes")
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    alarm = of(body, "AWS::CloudWatch::Alarm", "AlarmName", "watershed-fhir-changes-parked")
    assert alarm["AlarmActions"]
    (mapping,) = (
        each["Properties"]
        for name, each in body["Resources"].items()
        if each["Type"] == "AWS::Lambda::EventSourceMapping" and name.startswith("ChangeFeed")
    )
    assert mapping["BatchSize"] == 100
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_alarms_are_documented(calls: Template) -> None:
    documented = (Path(__file__).parents[3] / "docs" / "exports.md").read_text()
    names = [
        each["Properties"]["AlarmName"]
        for each in calls["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    feeds = [name for name in names if name.startswith("watershed-fhir-changes-")]
    assert sorted(feeds) == ["watershed-fhir-changes-failed", "watershed-fhir-changes-parked"]
    assert [name for name in feeds if f"`{name}`" not in documented] == []


def test_the_listing_waits_longer_than_it_reaches_back(calls: Template) -> None:
    """Else it would not judge the deletions that it is made for."""
    note = of(calls, "AWS::Lambda::Function", "FunctionName", "watershed-note-fhir-changes")
    find = of(calls, "AWS::Lambda::Function", "FunctionName", "watershed-find-fhir-changes")
    settle = int(note["Environment"]["Variables"]["DELETE_SETTLE_SECONDS"])
    assert settle > int(find["Environment"]["Variables"]["DELETE_MARGIN_SECONDS"])


def test_functions_may_do_what_they_do_and_no_more(calls: Template, subscription: Template) -> None:
    find = statements(calls, "watershed-find-fhir-changes")
    assert find["SearchResources"]["Action"] == "healthlake:SearchWithGet"
    assert "ReadResources" not in find
    land = statements(subscription, "watershed-land-fhir-changes")
    assert land["ReadResources"]["Action"] == "healthlake:ReadResource"
    assert (
        statements(calls, "watershed-note-fhir-changes")["StartSearches"]["Action"] == "states:StartExecution"
    )
    for role, body in (("watershed-find-fhir-changes", calls), ("watershed-land-fhir-changes", subscription)):
        assert "s3:GetObject" not in json.dumps(statements(body, role))


@pytest.mark.parametrize("feed", ["cloudtrail", "subscription"])
def test_actions_exist_and_name_their_resources(feed: str) -> None:
    reference = json.loads(files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text())
    for role in ("land", "find", "note"):
        name = f"watershed-{role}-fhir-changes"
        body = template(with_feed(feed))
        if name not in json.dumps(body):
            continue
        for sid, statement in statements(body, name).items():
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for action in actions:
                service, _, each = action.partition(":")
                assert each.lower() in reference[service]["Actions"], sid
            assert statement["Resource"] != "*", sid


def test_only_healthlake_puts_into_the_bus_of_notifications(subscription: Template) -> None:
    bus = of(subscription, "AWS::Events::EventBus", "Name", "watershed-healthlake")
    (statement,) = bus["Policy"]["Statement"]
    assert statement["Principal"] == {"Service": "healthlake.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ON_AWS.account}}
    assert bus["KmsKeyIdentifier"]
