"""The graph of a run, declared once: what starts it, and what follows upon what.

Triggers are made from this; the local runner walks the deployed triggers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["job", "crawler"]


@dataclass(frozen=True)
class Node:
    """A job or a crawler, by the name it has after the prefix."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Step:
    """One trigger: starts `starts` together, once all of `after` succeeded; with no `after`, it starts the
    run."""

    name: str
    description: str
    starts: tuple[Node, ...]
    after: tuple[Node, ...] = ()


MAINTENANCE = "maintain"
MAINTENANCE_SCHEDULE = "cron(30 3 * * ? *)"
"""Every night, and outside the workflow: compaction and a run of it would be in each other's way."""

ERASE = "erase"
"""Started by hand, at the request of a person whose data it removes."""

JOBS = ("conform-items", "conform-fhir", "curate", MAINTENANCE, ERASE)
"""The jobs by name; the script of `conform-items` is `glue_jobs/conform_items.py`."""

_CRAWLERS = (Node("crawler", "landing-items"), Node("crawler", "landing-fhir"))
_CONFORM = (Node("job", "conform-items"), Node("job", "conform-fhir"))

STEPS = (
    Step("start", "Starts a run: on demand, or when an export has landed", _CRAWLERS),
    Step(
        "conform",
        "Once the catalog knows what landed, bring it into the conformed tables",
        _CONFORM,
        _CRAWLERS,
    ),
    Step("curate", "Once both sources are conformed, curate and publish", (Node("job", "curate"),), _CONFORM),
)

MAX_CRAWLERS_PER_TRIGGER = 2
"""AWS Glue's limit."""


class WorkflowError(ValueError):
    """Raised when the declared graph is not one that Glue can run; the message names the step."""


def check(steps: tuple[Step, ...], jobs: tuple[str, ...], crawlers: tuple[str, ...]) -> None:
    """That there is one start, that every step can be reached, and that each node is known and starts once.

    Raises
    ------
    WorkflowError : naming the step and what is wrong with it
    """
    known = {*(Node("job", name) for name in jobs), *(Node("crawler", name) for name in crawlers)}
    if sum(not step.after for step in steps) != 1:
        raise WorkflowError("A workflow has exactly one step without `after`: the one that starts it")
    started: set[Node] = set()
    for step in steps:
        if missing := [node for node in step.after if node not in started]:
            raise WorkflowError(f"Step {step.name} waits for {missing[0].name}, which no earlier step starts")
        if sum(node.kind == "crawler" for node in step.starts) > MAX_CRAWLERS_PER_TRIGGER:
            raise WorkflowError(f"Step {step.name} starts more than {MAX_CRAWLERS_PER_TRIGGER} crawlers")
        for node in step.starts:
            if node not in known:
                raise WorkflowError(f"Step {step.name} starts {node.kind} {node.name}, which does not exist")
            if node in started:
                raise WorkflowError(f"Step {step.name} starts {node.name}, which an earlier step starts")
            started.add(node)
