"""Of the de-identified twin: there only where the settings ask for it, its secret for its jobs alone, and its
researchers see nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.policies import flat
from infra.stack import check_twin
from schemas import SchemaError
from schemas.view import load_views
from tests.unit.infra.assemblies import on_aws, variant
from tests.unit.infra.assemblies import template as template_of

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return template_of(variant("joined"))


def _of(template: dict[str, Any], kind: str) -> list[Resource]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def _statements(template: dict[str, Any], role: str) -> list[Resource]:
    (found,) = (each for each in _of(template, "AWS::IAM::Role") if each["RoleName"] == role)
    statements: list[Resource] = found["Policies"][0]["PolicyDocument"]["Statement"]
    return statements


def test_without_the_setting_there_is_nothing_of_it() -> None:
    template = template_of(on_aws())
    assert not _of(template, "AWS::SecretsManager::Secret")
    assert "curated_deid" not in json.dumps(template)
    assert "watershed-researchers" not in json.dumps(template)
    assert not [each for each in _of(template, "AWS::CloudWatch::Alarm") if "deid" in each["AlarmName"]]


def test_its_secret_is_made_by_aws_encrypted_with_the_lakes_key_and_kept(template: dict[str, Any]) -> None:
    (secret,) = _of(template, "AWS::SecretsManager::Secret")
    assert secret["Name"] == "watershed-twin-secret"
    assert secret["GenerateSecretString"]["PasswordLength"] == 64
    assert "SecretString" not in secret
    assert flat(secret["KmsKeyId"]).startswith("<Encryption")
    (whole,) = (
        each for each in template["Resources"].values() if each["Type"] == "AWS::SecretsManager::Secret"
    )
    assert whole["DeletionPolicy"] == "Retain"


def test_only_the_jobs_that_keep_it_read_its_secret(template: dict[str, Any]) -> None:
    readers = {
        role["RoleName"]: statement["Resource"]
        for role in _of(template, "AWS::IAM::Role")
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "secretsmanager" in json.dumps(statement["Action"])
    }
    assert set(readers) == {"watershed-jobs", "watershed-erase-job"}
    assert all(set(each) == {"Ref"} for each in readers.values()), "the one secret, by its ARN"


def test_the_jobs_are_told_where_the_secret_is_and_never_what(template: dict[str, Any]) -> None:
    for job in _of(template, "AWS::Glue::Job"):
        arguments = job["DefaultArguments"]
        assert arguments["--deid"] == "shift"
        assert set(arguments["--deid_secret"]) == {"Ref"}


def test_researchers_reach_the_twin_and_no_other_zone(template: dict[str, Any]) -> None:
    granted = _statements(template, "watershed-researchers")
    databases = {
        flat(resource).rpartition("/")[2] if ":database/" in flat(resource) else ""
        for statement in granted
        if statement["Sid"] == "ReadCatalog"
        for resource in statement["Resource"]
    }
    assert databases - {""} == {"watershed_curated_deid"}
    told = json.dumps(granted)
    assert "warehouse/watershed_curated_deid/*" in told
    for zone in ("landing", "conformed", "ops", "curated/", 'curated"'):
        assert f"watershed_{zone}" not in told, zone
    assert "workgroup/watershed-research" in told
    assert 'workgroup/watershed"' not in told
    (results,) = (each for each in granted if each["Sid"] == "KeepResults")
    assert flat(results["Resource"]).endswith("/watershed-research/*"), "nor the results of others"
    assert not {
        action
        for statement in granted
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        if action.startswith(("iam:", "sts:", "s3:Delete", "glue:Create", "glue:Update", "secretsmanager:"))
    }


def test_analysts_do_not_reach_the_twin_by_chance(template: dict[str, Any]) -> None:
    """Nor need they: what they see says more. Whoever has both roles can compare the two."""
    assert "watershed_curated_deid" not in json.dumps(_statements(template, "watershed-analysts"))


def test_the_research_workgroup_keeps_its_results_apart_and_its_settings(template: dict[str, Any]) -> None:
    groups = {
        each["Name"]: each["WorkGroupConfiguration"] for each in _of(template, "AWS::Athena::WorkGroup")
    }
    assert set(groups) == {"watershed", "watershed-research"}
    research = groups["watershed-research"]
    assert research["EnforceWorkGroupConfiguration"] is True
    results = research["ResultConfiguration"]
    assert flat(results["OutputLocation"]).endswith("/watershed-research/")
    assert results["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"


def test_where_it_lies_is_an_output(template: dict[str, Any]) -> None:
    outputs = template["Outputs"]
    assert outputs["CuratedDeidDatabase"]["Value"] == "watershed_curated_deid"
    assert outputs["ResearchWorkGroup"]["Value"] == "watershed-research"


def test_its_tables_are_listed_beside_the_others(template: dict[str, Any]) -> None:
    (function,) = (
        each
        for each in _of(template, "AWS::Lambda::Function")
        if each["FunctionName"] == "watershed-list-tables"
    )
    listed = dict(pair.split("=") for pair in function["Environment"]["Variables"]["DATABASES"].split(","))
    assert listed["curated_deid"] == "watershed_curated_deid"
    assert set(listed) == {"conformed", "curated", "curated_deid"}


def test_one_alarm_rings_when_it_does_not_follow_the_curated_tables(template: dict[str, Any]) -> None:
    (alarm,) = (
        each
        for each in _of(template, "AWS::CloudWatch::Alarm")
        if each["AlarmName"] == "watershed-table-behind-curated_deid"
    )
    assert alarm["Dimensions"] == [{"Name": "Table", "Value": "curated_deid"}]
    assert (alarm["MetricName"], alarm["TreatMissingData"]) == ("Behind", "breaching")


def test_a_twin_that_would_lack_a_column_is_not_deployed() -> None:
    view = load_views()["patient"]
    more = {"column": [{"name": "shoe_size", "path": "extension.value", "type": "integer"}]}
    wider = replace(view, definition={**view.definition, "select": [*view.definition["select"], more]})
    with pytest.raises(SchemaError, match=r"deid/patient\.yaml: shoe_size: has no treatment"):
        check_twin([wider])
    check_twin([view])
