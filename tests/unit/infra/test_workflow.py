from __future__ import annotations

import pytest

from infra.workflow import JOBS, STEPS, Node, Step, WorkflowError, check
from infra.workflow_graph import PAGE, mermaid, page

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
