"""CloudFormation's template reference: `Ref` of `AWS::Athena::NamedQuery` is its id; a change of any property
replaces it."""

from __future__ import annotations

import json

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until

pytestmark = pytest.mark.e2e


def _template(sql: str) -> str:
    query = {
        "Type": "AWS::Athena::NamedQuery",
        "Properties": {
            "Name": "patients",
            "Description": "How many patients?",
            "Database": "curated",
            "QueryString": sql,
            "WorkGroup": "primary",
        },
    }
    return json.dumps({"Resources": {"Query": query}, "Outputs": {"Query": {"Value": {"Ref": "Query"}}}})


def test_a_named_query_is_created_replaced_and_deleted(emulator: Emulator) -> None:
    cloudformation, athena = emulator.client("cloudformation"), emulator.client("athena")

    def status() -> str:
        stacks = cloudformation.describe_stacks()["Stacks"]
        return next(
            (each["StackStatus"] for each in stacks if each["StackName"] == "athena"), "DELETE_COMPLETE"
        )

    def query_id() -> str:
        (stack,) = cloudformation.describe_stacks(StackName="athena")["Stacks"]
        return str(stack["Outputs"][0]["OutputValue"])

    cloudformation.create_stack(StackName="athena", TemplateBody=_template("select 1"))
    until(lambda: status() == "CREATE_COMPLETE")
    first = query_id()
    query = athena.get_named_query(NamedQueryId=first)["NamedQuery"]
    assert (query["Name"], query["Description"]) == ("patients", "How many patients?")
    assert (query["Database"], query["QueryString"], query["WorkGroup"]) == ("curated", "select 1", "primary")

    cloudformation.update_stack(StackName="athena", TemplateBody=_template("select 2"))
    until(lambda: status() == "UPDATE_COMPLETE")
    second = query_id()
    assert athena.get_named_query(NamedQueryId=second)["NamedQuery"]["QueryString"] == "select 2"
    assert athena.list_named_queries()["NamedQueryIds"] == [second]

    cloudformation.delete_stack(StackName="athena")
    until(lambda: status() == "DELETE_COMPLETE")
    assert athena.list_named_queries()["NamedQueryIds"] == []
