from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from infra.workflow import JOBS, STEPS, Node, Step, WorkflowError, check
from infra.workflow_graph import PAGE, mermaid, page
from tests.unit.infra.assemblies import VARIANTS, template, variant

A, B, C = Node("crawler", "a"), Node("crawler", "b"), Node("crawler", "c")
JOB = Node("job", "j")


def test_the_declared_graph_holds() -> None:
    check(STEPS, JOBS, ("landing-items", "landing-fhir"))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "exactly one step"),
        ((Step("s", "", (A,)), Step("t", "", (JOB,))), "exactly one step"),
        ((Step("s", "", (A, B, C)),), "Step s starts more than 2 crawlers"),
        ((Step("s", "", (A,)), Step("t", "", (JOB,), (B,))), "Step t waits for b"),
        ((Step("s", "", (A,)), Step("t", "", (A,), (A,))), "Step t starts a, which an earlier"),
        ((Step("s", "", (Node("job", "nobody"),)),), "Step s starts job nobody, which does not exist"),
    ],
)
def test_a_graph_that_glue_cannot_run_is_refused(steps: tuple[Step, ...], message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        check(steps, ("j",), ("a", "b", "c"))


def test_the_drawing_in_the_docs_is_current() -> None:
    assert page(PAGE.read_text()) == PAGE.read_text(), "run: python -m infra.workflow_graph"


def test_the_drawing_shows_every_node_and_condition() -> None:
    drawn = mermaid(STEPS)
    for step in STEPS:
        for node in step.starts:
            assert f"  {step.name} --> {node.kind}_{node.name.replace('-', '_')}\n" in drawn
        for node in step.after:
            assert f"  {node.kind}_{node.name.replace('-', '_')} -- succeeded --> {step.name}\n" in drawn


def test_a_schedule_starts_this_workflow_and_may_do_nothing_else() -> None:
    resources = template(variant("joined"))["Resources"].values()
    (schedule,) = (each["Properties"] for each in resources if each["Type"] == "AWS::Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == VARIANTS["joined"].run_schedule
    assert schedule["Target"]["Arn"] == "arn:aws:scheduler:::aws-sdk:glue:startWorkflowRun"
    request = json.loads(schedule["Target"]["Input"])
    assert request["Name"] == "watershed"
    # What Glue's API takes, by its own model.
    taken: Any = Session().get_service_model("glue").operation_model("StartWorkflowRun")
    assert not ParamValidator().validate(request, taken.input_shape).has_errors()
    (role,) = (
        each["Properties"]
        for each in resources
        if each["Type"] == "AWS::IAM::Role" and each["Properties"]["RoleName"] == "watershed-run-schedule"
    )
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "glue:StartWorkflowRun"
    assert statement["Resource"] == "arn:aws:glue:eu-west-1:123456789012:workflow/watershed"


def test_there_is_no_schedule_unless_asked_for() -> None:
    kinds = {each["Type"] for each in template(variant("watershed"))["Resources"].values()}
    assert "AWS::Scheduler::Schedule" not in kinds
