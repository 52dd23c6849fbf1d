"""CloudFormation's template reference: `Ref` of `AWS::Glue::Workflow` and of
`AWS::Glue::SecurityConfiguration` is the name; all of a workflow but its name can be updated in place.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until

pytestmark = pytest.mark.e2e

_KEY = "arn:aws:kms:us-east-1:000000000000:key/1"


def _template(description: str, workflow: str = "nightly") -> str:
    resources: dict[str, Any] = {
        "Workflow": {
            "Type": "AWS::Glue::Workflow",
            "Properties": {
                "Name": workflow,
                "Description": description,
                "MaxConcurrentRuns": 1,
                "DefaultRunProperties": {"full": "false"},
            },
        },
        "Unnamed": {"Type": "AWS::Glue::Workflow", "Properties": {}},
        "Security": {
            "Type": "AWS::Glue::SecurityConfiguration",
            "Properties": {
                "Name": "encrypted",
                "EncryptionConfiguration": {
                    "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": _KEY}],
                    "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": _KEY},
                },
            },
        },
    }
    outputs = {name: {"Value": {"Ref": name}} for name in resources}
    return json.dumps({"Resources": resources, "Outputs": outputs})


def test_both_are_created_updated_and_deleted(emulator: Emulator) -> None:
    cloudformation, glue = emulator.client("cloudformation"), emulator.client("glue")

    def status() -> str:
        stacks = cloudformation.describe_stacks()["Stacks"]
        return next(
            (each["StackStatus"] for each in stacks if each["StackName"] == "glue"), "DELETE_COMPLETE"
        )

    cloudformation.create_stack(StackName="glue", TemplateBody=_template("first"))
    until(lambda: status() == "CREATE_COMPLETE")
    (stack,) = cloudformation.describe_stacks(StackName="glue")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert outputs["Workflow"] == "nightly"
    assert outputs["Security"] == "encrypted"
    assert outputs["Unnamed"].startswith("glue-Unnamed-")
    workflow = glue.get_workflow(Name="nightly")["Workflow"]
    assert (workflow["Description"], workflow["MaxConcurrentRuns"]) == ("first", 1)
    assert workflow["DefaultRunProperties"] == {"full": "false"}
    security = glue.get_security_configuration(Name="encrypted")["SecurityConfiguration"]
    assert security["EncryptionConfiguration"]["S3Encryption"][0]["S3EncryptionMode"] == "SSE-KMS"

    cloudformation.update_stack(StackName="glue", TemplateBody=_template("second"))
    until(lambda: status() == "UPDATE_COMPLETE")
    assert glue.get_workflow(Name="nightly")["Workflow"]["Description"] == "second"

    cloudformation.update_stack(StackName="glue", TemplateBody=_template("third", workflow="daily"))
    until(lambda: status() == "UPDATE_COMPLETE")
    assert glue.get_workflow(Name="daily")["Workflow"]["Description"] == "third"
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_workflow(Name="nightly")

    cloudformation.delete_stack(StackName="glue")
    until(lambda: status() == "DELETE_COMPLETE")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_workflow(Name="daily")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_security_configuration(Name="encrypted")
