"""Least privilege, as far as it can be read off the template."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest

from infra.policies import BroadPermissionError, allow
from tests.unit.infra.assemblies import ON_AWS, VARIANTS, variant
from tests.unit.infra.assemblies import template as template_of

Resources = Callable[[str], dict[str, dict[str, Any]]]


def _statements(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    for role in resources("AWS::IAM::Role").values():
        name = role["Properties"]["RoleName"]
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def _resources_of(stack: str) -> Resources:
    """As the fixture of this name, of any of the stacks that are checked."""
    found = template_of(variant(stack))["Resources"]
    return lambda kind: {name: each for name, each in found.items() if each["Type"] == kind}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def authorization() -> dict[str, Any]:
    """The service authorization reference: each service's actions, and the resources each can be limited
    to."""
    text = files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    reference: dict[str, Any] = json.loads(text)
    return reference


def test_every_function_machine_and_job_has_a_role_of_its_own(resources: Resources) -> None:
    assert {role["Properties"]["RoleName"] for role in resources("AWS::IAM::Role").values()} == {
        "watershed-land-item-changes",
        "watershed-start-export",
        "watershed-poll-export",
        "watershed-land-export",
        "watershed-publish-resources",
        "watershed-erase-job",
        "watershed-export",
        "watershed-export-schedule",
        "watershed-healthlake-export",
        "watershed-jobs",
        "watershed-crawl",
        "watershed-partition-item-changes",
        "watershed-land-parked-changes",
        "watershed-shape-item-change",
        "watershed-record-patient-activity",
        "watershed-item-changes",
        "watershed-land-site-activity",
        "watershed-tell-registry",
        "watershed-tell-site-activity",
        "watershed-analysts",
        "watershed-engineers",
        "watershed-list-quarantine",
        "watershed-list-tables",
        "watershed-shape-token",
        "watershed-api-logging",
        "watershed-api-read",
        "watershed-api-admit",
        "watershed-keep-roster",
        "watershed-socket-publish",
        "watershed-admit-analyst",
        "watershed-disable-analyst",
        "watershed-api-start-exports",
        "watershed-api-start-runs",
    }


def test_no_role_has_managed_policies_or_policies_added_elsewhere(
    resources: Resources, template: dict[str, Any]
) -> None:
    for role in resources("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]
    kinds = {each["Type"] for each in template["Resources"].values()}
    assert not kinds & {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}


@pytest.mark.parametrize("stack", VARIANTS)
def test_actions_are_spelled_out_and_exist(stack: str, authorization: dict[str, Any]) -> None:
    for role, statement in _statements(_resources_of(stack)):
        for action in _list(statement["Action"]):
            service, _, name = action.partition(":")
            assert name.lower() in authorization[service]["Actions"], f"{role}: {action} does not exist"


@pytest.mark.parametrize("stack", VARIANTS)
def test_resources_are_named_wherever_the_action_knows_any(stack: str, authorization: dict[str, Any]) -> None:
    for role, statement in _statements(_resources_of(stack)):
        for action in _list(statement["Action"]):
            service, _, name = action.partition(":")
            limited = bool(authorization[service]["Actions"][name.lower()].get("Resources"))
            everything = statement["Resource"] == "*"
            if action == "cloudwatch:PutMetricData":
                assert statement["Condition"]["StringEquals"] == {
                    "cloudwatch:namespace": ["Glue", "Watershed/watershed"]
                }
                continue
            # The other way round is as wrong: limited to a resource the action does not know, it never
            # applies.
            assert limited != everything, f"{role}: {action} on {statement['Resource']}"


# Services that act for whoever asks them: a role must say for which account.
_CONFUSABLE = (
    "healthlake.amazonaws.com",
    "states.amazonaws.com",
    "pipes.amazonaws.com",
    "firehose.amazonaws.com",
    "scheduler.amazonaws.com",
)


@pytest.mark.parametrize("stack", VARIANTS)
def test_services_assume_roles_only_for_this_account(stack: str) -> None:
    for role in _resources_of(stack)("AWS::IAM::Role").values():
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        service = statement["Principal"].get("Service")
        if service in _CONFUSABLE:
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"], service


def test_only_healthlake_gets_the_export_role(resources: Resources) -> None:
    passing = [each for each in _statements(resources) if "iam:PassRole" in _list(each[1]["Action"])]
    ((role, statement),) = passing
    assert role == "watershed-start-export"
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "healthlake.amazonaws.com"}}


def _of(resources: Resources, role: str) -> list[dict[str, Any]]:
    return [statement for name, statement in _statements(resources) if name == role]


def test_analysts_reach_the_curated_tables_and_no_other_zone(resources: Resources) -> None:
    logical_ids = {
        each["Properties"]["BucketName"]: name for name, each in resources("AWS::S3::Bucket").items()
    }
    purposes = {
        purpose: logical_ids[ON_AWS.bucket(purpose)] for purpose in ("landing", "exports", "failures", "docs")
    }
    granted = json.dumps(_of(resources, "watershed-analysts"))
    for purpose, logical_id in purposes.items():
        assert f'"{logical_id}"' not in granted, purpose
    for zone in ("landing", "conformed", "ops"):
        assert f"watershed_{zone}" not in granted, zone
    assert "warehouse/watershed_curated/*" in granted
    assert not {
        action
        for statement in _of(resources, "watershed-analysts")
        for action in _list(statement["Action"])
        if action.startswith(("glue:Create", "glue:Update", "glue:Delete", "glue:Start", "s3:Delete"))
    }


def test_people_change_no_data_and_no_permission(resources: Resources) -> None:
    for role in ("watershed-analysts", "watershed-engineers"):
        for statement in _of(resources, role):
            actions = _list(statement["Action"])
            assert not [
                each for each in actions if each.startswith(("iam:", "sts:", "s3:Delete", "dynamodb:"))
            ]
            if "s3:PutObject" in actions:
                assert statement["Sid"] == "KeepResults"


def test_all_who_read_tables_can_ask_lake_formation(resources: Resources) -> None:
    for role in ("watershed-analysts", "watershed-engineers", "watershed-jobs", "watershed-erase-job"):
        actions = {action for statement in _of(resources, role) for action in _list(statement["Action"])}
        assert "lakeformation:GetDataAccess" in actions, role


@pytest.mark.parametrize(
    ("actions", "resources"), [(["s3:*"], ["arn"]), (["s3:Get*"], ["arn"]), (["s3:GetObject"], ["*"])]
)
def test_a_broad_permission_is_refused(actions: list[str], resources: list[str]) -> None:
    with pytest.raises(BroadPermissionError):
        allow("Broad", actions, resources)
