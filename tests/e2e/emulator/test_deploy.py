"""The real templates on the emulator, with every role enforced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.assembly import synthesized
from local.deploy import DeployError, deploy, publish, read_outputs, state_dir
from local.emulator import Emulator
from tests.e2e.emulator.conftest import SHARED_ASSEMBLY, Deployed, until
from tests.e2e.emulator.functions import create_function, invoke
from tests.unit.infra.assemblies import SHARED

pytestmark = pytest.mark.e2e


def _function(deployed: Deployed, name: str) -> dict[str, Any]:
    configuration: dict[str, Any] = deployed.emulator.client("lambda").get_function_configuration(
        FunctionName=name
    )
    return configuration


def _landed(deployed: Deployed, prefix: str) -> list[str]:
    listed = deployed.emulator.client("s3").list_objects_v2(
        Bucket=deployed.outputs["LandingBucket"], Prefix=prefix
    )
    return [each["Key"] for each in listed.get("Contents", [])]


def test_the_outputs_are_kept_for_the_next_command(deployed: Deployed) -> None:
    saved = read_outputs(state_dir(deployed.emulator))
    assert dict(saved) == dict(deployed.outputs)
    assert saved.endpoint == deployed.emulator.endpoint
    assert saved["WorkflowName"] == "watershed"
    with pytest.raises(DeployError, match=r"no output Landing; it has .*LandingBucket"):
        _ = saved["Landing"]


def test_nothing_deployed_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="watershed deploy"):
        read_outputs(tmp_path)


def test_the_workflow_is_deployed_as_declared(deployed: Deployed) -> None:
    glue = deployed.emulator.client("glue")
    found = glue.get_triggers()["Triggers"]
    triggers = {each["Name"]: each for each in found if each.get("WorkflowName")}
    assert set(triggers) == {"watershed-start", "watershed-conform", "watershed-curate"}
    assert {each["WorkflowName"] for each in triggers.values()} == {"watershed"}
    assert triggers["watershed-curate"]["State"] == "ACTIVATED"
    assert glue.get_workflow(Name="watershed")["Workflow"]["MaxConcurrentRuns"] == 1
    assert glue.get_job(JobName="watershed-curate")["Job"]["GlueVersion"] == "5.1"


def test_the_jobs_of_the_twin_are_told_of_a_secret_that_nobody_wrote_down(deployed: Deployed) -> None:
    job = deployed.emulator.client("glue").get_job(JobName="watershed-curate")["Job"]
    secrets = deployed.emulator.client("secretsmanager")
    held = secrets.get_secret_value(SecretId=job["DefaultArguments"]["--deid_secret"])["SecretString"]
    assert len(held) == 64
    assert deployed.outputs["CuratedDeidDatabase"] == "watershed_curated_deid"
    assert deployed.outputs["ResearchWorkGroup"] == "watershed-research"


def test_a_second_deployment_does_nothing(deployed: Deployed) -> None:
    before = _function(deployed, "watershed-start-export")
    said: list[str] = []
    outputs = deployed.deploy(deployed.settings, said)
    assert said == ["The templates are up to date", "Stack watershed is up to date"]
    assert dict(outputs) == dict(deployed.outputs)
    assert _function(deployed, "watershed-start-export")["LastModified"] == before["LastModified"]
    assembly = synthesized(_neutral(deployed), SHARED_ASSEMBLY)
    assert publish(assembly, deployed.emulator.client("s3"), said.append) == 0


def _neutral(deployed: Deployed) -> Any:
    return replace(
        deployed.settings, healthlake_endpoint="http://127.0.0.1:1", healthlake_datastore_id="none"
    )


def test_a_data_store_elsewhere_needs_no_new_templates(deployed: Deployed) -> None:
    said: list[str] = []
    elsewhere = replace(deployed.settings, healthlake_endpoint="http://127.0.0.1:2")
    deployed.deploy(elsewhere, said)
    assert said == ["The templates are up to date", "Updating stack watershed"]
    variables = _function(deployed, "watershed-start-export")["Environment"]["Variables"]
    assert variables["HEALTHLAKE_ENDPOINT"] == "http://127.0.0.1:2"
    deployed.deploy(deployed.settings, said)
    variables = _function(deployed, "watershed-poll-export")["Environment"]["Variables"]
    assert variables["HEALTHLAKE_ENDPOINT"] == deployed.healthlake.url


def test_a_changed_template_updates_what_it_changes(deployed: Deployed) -> None:
    events = deployed.emulator.client("events")
    said: list[str] = []
    changed = replace(deployed.settings, export_schedule_minutes=7, export_schedule_enabled=True)
    deploy(deployed.emulator, changed, said.append, out=SHARED / "changed.cdk.out")
    assert said[-1] == "Updating stack watershed"
    rule = events.describe_rule(Name="watershed-export-schedule")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(7 minutes)", "ENABLED")
    deployed.deploy(deployed.settings, said)
    rule = events.describe_rule(Name="watershed-export-schedule")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(5 minutes)", "DISABLED")


def test_a_refused_stack_names_the_resource_and_the_reason(deployed: Deployed, tmp_path: Path) -> None:
    with Emulator(tmp_path / ".watershed" / "emulator") as emulator:
        # Not of the stack's making, under a name that the stack needs.
        emulator.client("glue").create_database(DatabaseInput={"Name": "watershed_curated"})
        with pytest.raises(DeployError, match=r"(?s)ROLLBACK.*AWS::Glue::Database") as refusal:
            deploy(emulator, deployed.settings, out=SHARED_ASSEMBLY)
        assert "CatalogCurated" in str(refusal.value)
        emulator.client("glue").delete_database(Name="watershed_curated")
        bucket = deployed.settings.bucket("landing")
        emulator.client("s3").create_bucket(Bucket=bucket)
        with pytest.raises(DeployError, match=r"(?s)ROLLBACK.*StorageLanding.*AWS::S3::Bucket"):
            deploy(emulator, deployed.settings, out=SHARED_ASSEMBLY)
        # With the causes gone, the next attempt clears away the failed one and goes through.
        emulator.client("s3").delete_bucket(Bucket=bucket)
        said: list[str] = []
        deploy(emulator, deployed.settings, said.append, out=SHARED_ASSEMBLY)
        assert "Removing stack watershed, whose creation failed" in said


def test_an_item_lands_through_the_stream_with_the_rights_of_its_function(deployed: Deployed) -> None:
    deployed.emulator.client("dynamodb").put_item(
        TableName=deployed.outputs["SiteActivityTable"],
        Item={"siteId": {"S": "s/1"}, "createdAtTime": {"N": "1700000000000"}, "valueOne": {"N": "1.50"}},
    )
    prefix = "items/table_name=watershed-site-activity/item_type=SiteActivity/siteId=s%2F1/"
    until(lambda: bool(_landed(deployed, prefix)))


def test_an_export_runs_with_the_rights_of_its_roles(deployed: Deployed) -> None:
    states = deployed.emulator.client("stepfunctions")
    machine = deployed.outputs["StateMachineArn"]
    glue = deployed.emulator.client("glue")
    before = set(_landed(deployed, "fhir/resource_type=Patient/"))
    deployed.healthlake_client.create({"resourceType": "Patient", "name": [{"family": "Roe"}]})
    run = states.start_execution(stateMachineArn=machine)["executionArn"]
    until(lambda: states.describe_execution(executionArn=run)["status"] != "RUNNING")
    ended = states.describe_execution(executionArn=run)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    assert output["jobStatus"] == "COMPLETED"
    landed = set(_landed(deployed, "fhir/resource_type=Patient/")) - before
    assert len(landed) == output["files"] == 1
    assert glue.get_workflow_run(Name="watershed", RunId=output["workflowRunId"])["Run"]["Status"]


@pytest.mark.parametrize(
    ("role", "call", "allowed"),
    [
        ("watershed-land-item-changes", "put items/x", True),
        ("watershed-land-item-changes", "put fhir/x", False),
        ("watershed-land-item-changes", "get items/x", False),
        ("watershed-land-export", "put fhir/x", True),
        ("watershed-land-export", "put items/x", False),
        ("watershed-poll-export", "put fhir/x", False),
    ],
)
def test_a_role_reaches_its_own_prefix_and_no_other(
    deployed: Deployed, role: str, call: str, allowed: bool
) -> None:
    name = f"probe-{role.removeprefix('watershed-')}"
    if not _exists(deployed.emulator, name):
        create_function(
            deployed.emulator,
            name,
            _PROBE,
            role=f"arn:aws:iam::000000000000:role/{role}",
            environment={"BUCKET": deployed.outputs["LandingBucket"]},
        )
    answer, error = invoke(deployed.emulator, name, call)
    assert error is None, answer
    assert answer == ("done" if allowed else "AccessDenied")


_PROBE = """
import os, boto3
from botocore.exceptions import ClientError

def handler(event, context):
    verb, key = event.split()
    s3 = boto3.client("s3")
    try:
        if verb == "put":
            s3.put_object(Bucket=os.environ["BUCKET"], Key=key, Body=b"x")
        else:
            s3.get_object(Bucket=os.environ["BUCKET"], Key=key)["Body"].read()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"
"""


def _exists(emulator: Emulator, name: str) -> bool:
    return name in {each["FunctionName"] for each in emulator.client("lambda").list_functions()["Functions"]}
