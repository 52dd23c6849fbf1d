"""The walk of a workflow, case by case from Glue's documentation of triggers and workflows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.glue.errors import WorkflowGraphError
from local.glue.workflow import Action, Node, Walk, read_triggers, resumption


def job(name: str) -> dict[str, Any]:
    return {"JobName": name}


def crawler(name: str) -> dict[str, Any]:
    return {"CrawlerName": name}


def start(*actions: dict[str, Any], kind: str = "ON_DEMAND") -> dict[str, Any]:
    return {"Name": "start", "Type": kind, "State": "CREATED", "Actions": list(actions)}


def then(
    name: str,
    conditions: dict[str, str],
    *actions: dict[str, Any],
    logical: str = "AND",
    state: str = "ACTIVATED",
) -> dict[str, Any]:
    """A conditional trigger; names that begin with ``c`` are crawlers."""
    watched = [
        {"LogicalOperator": "EQUALS", "CrawlerName": each, "CrawlState": wanted}
        if each.startswith("c")
        else {"LogicalOperator": "EQUALS", "JobName": each, "State": wanted}
        for each, wanted in conditions.items()
    ]
    return {
        "Name": name,
        "Type": "CONDITIONAL",
        "State": state,
        "Predicate": {"Logical": logical, "Conditions": watched},
        "Actions": list(actions),
    }


def walk_to_the_end(raw: list[dict[str, Any]], ends: dict[str, str]) -> tuple[Walk, list[str]]:
    """Walk, each node ending as ``ends`` says (else SUCCEEDED); what was started, in order."""
    walk = Walk(read_triggers(raw))
    started: list[str] = []
    waiting = walk.start()
    while waiting:
        action = waiting.pop(0)
        started.append(action.node.name)
        waiting += walk.ended(action.node, ends.get(action.node.name, "SUCCEEDED"))
    return walk, started


@dataclass(frozen=True)
class Case:
    reason: str
    triggers: list[dict[str, Any]]
    started: list[str]
    ends: dict[str, str]
    skipped: list[str]


DIAMOND = [
    start(crawler("c1"), crawler("c2")),
    then("conform", {"c1": "SUCCEEDED", "c2": "SUCCEEDED"}, job("items"), job("fhir")),
    then("curate", {"items": "SUCCEEDED", "fhir": "SUCCEEDED"}, job("curate")),
]

JOB_STATES = ("SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT")
"""All that a trigger can listen for of a job."""

CASES = [
    Case(
        "all succeed: every action, in the order of the graph",
        DIAMOND,
        ["c1", "c2", "items", "fhir", "curate"],
        {},
        [],
    ),
    Case(
        "AND with one crawler failed: nothing after it",
        DIAMOND,
        ["c1", "c2"],
        {"c2": "FAILED"},
        ["items", "fhir", "curate"],
    ),
    Case(
        "a failed branch runs to its end, the join is skipped",
        DIAMOND,
        ["c1", "c2", "items", "fhir"],
        {"items": "FAILED"},
        ["curate"],
    ),
    Case("a time-out is no success", DIAMOND, ["c1", "c2", "items", "fhir"], {"fhir": "TIMEOUT"}, ["curate"]),
    Case(
        "a stopped job is no success", DIAMOND, ["c1", "c2", "items", "fhir"], {"fhir": "STOPPED"}, ["curate"]
    ),
    Case(
        "ANY fires on the first, and only once",
        [start(job("a"), job("b")), then("t", {"a": "SUCCEEDED", "b": "SUCCEEDED"}, job("x"), logical="ANY")],
        ["a", "b", "x"],
        {},
        [],
    ),
    Case(
        "ANY with one failed still fires on the other",
        [start(job("a"), job("b")), then("t", {"a": "SUCCEEDED", "b": "SUCCEEDED"}, job("x"), logical="ANY")],
        ["a", "b", "x"],
        {"a": "FAILED"},
        [],
    ),
    Case(
        "a trigger may wait for a failure",
        [
            start(job("a")),
            then("ok", {"a": "SUCCEEDED"}, job("x")),
            then("bad", {"a": "FAILED"}, job("tell")),
        ],
        ["a", "tell"],
        {"a": "FAILED"},
        ["x"],
    ),
    *(
        Case(
            f"a trigger may wait for {state}, and then waits in vain for another",
            [
                start(job("a")),
                then("that", {"a": state}, job("x")),
                *(then(f"not {other}", {"a": other}, job(other)) for other in JOB_STATES if other != state),
            ],
            ["a", "x"],
            {"a": state},
            [other for other in JOB_STATES if other != state],
        )
        for state in JOB_STATES
    ),
    Case(
        "a run that ended in ERROR fires none of them",
        [start(job("a")), *(then(f"on {state}", {"a": state}, job(state)) for state in JOB_STATES)],
        ["a"],
        {"a": "ERROR"},
        list(JOB_STATES),
    ),
    Case(
        "ANY of which none holds never fires",
        [start(job("a"), job("b")), then("t", {"a": "FAILED", "b": "TIMEOUT"}, job("x"), logical="ANY")],
        ["a", "b"],
        {"a": "TIMEOUT", "b": "FAILED"},
        ["x"],
    ),
    Case(
        "AND over different states of different nodes",
        [start(job("a"), job("b")), then("t", {"a": "FAILED", "b": "SUCCEEDED"}, job("x"))],
        ["a", "b", "x"],
        {"a": "FAILED"},
        [],
    ),
    Case(
        "a crawl that failed can be waited for, and its sibling's success is not spoilt by it",
        [
            start(crawler("c1"), crawler("c2")),
            then("bad", {"c1": "FAILED"}, job("tell")),
            then("ok", {"c2": "SUCCEEDED"}, job("x")),
        ],
        ["c1", "c2", "tell", "x"],
        {"c1": "FAILED"},
        [],
    ),
    Case(
        "a conditional trigger may start crawlers, and these be waited for",
        [
            start(job("a")),
            then("t1", {"a": "SUCCEEDED"}, crawler("c1"), crawler("c2")),
            then("t2", {"c1": "SUCCEEDED", "c2": "SUCCEEDED"}, job("x")),
        ],
        ["a", "c1", "c2", "x"],
        {},
        [],
    ),
    Case(
        "two triggers that hold at once both fire",
        [start(job("a")), then("t1", {"a": "SUCCEEDED"}, job("x")), then("t2", {"a": "SUCCEEDED"}, job("y"))],
        ["a", "x", "y"],
        {},
        [],
    ),
    Case(
        "jobs and crawlers may be waited for together",
        [start(crawler("c1"), job("a")), then("t", {"c1": "SUCCEEDED", "a": "SUCCEEDED"}, job("x"))],
        ["c1", "a", "x"],
        {},
        [],
    ),
    Case(
        "a conditional trigger that is not activated never fires",
        [start(job("a")), then("t", {"a": "SUCCEEDED"}, job("x"), state="CREATED")],
        ["a"],
        {},
        ["x"],
    ),
    Case(
        "a scheduled start trigger starts a run, activated or not",
        [start(job("a"), kind="SCHEDULED"), then("t", {"a": "SUCCEEDED"}, job("x"))],
        ["a", "x"],
        {},
        [],
    ),
    Case(
        "an event start trigger starts a run",
        [start(job("a"), kind="EVENT"), then("t", {"a": "SUCCEEDED"}, job("x"))],
        ["a", "x"],
        {},
        [],
    ),
    Case(
        "a crawl that was cancelled can be waited for",
        [start(crawler("c1")), then("t", {"c1": "CANCELLED"}, job("x"))],
        ["c1", "x"],
        {"c1": "CANCELLED"},
        [],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_the_walk(case: Case) -> None:
    walk, started = walk_to_the_end(case.triggers, case.ends)
    assert started == case.started
    assert [node.name for node in walk.skipped()] == case.skipped
    assert walk.is_over


@dataclass(frozen=True)
class Resume:
    """A run whose nodes ended as ``ends`` is resumed from ``chosen``; then all succeed but ``again``."""

    reason: str
    triggers: list[dict[str, Any]]
    ends: dict[str, str]
    chosen: list[str]
    at_once: list[str]
    started: list[str]
    again: dict[str, str]


# The example of the documentation: T1 starts J1, whose success starts J2 and J3; J4 and J5 follow upon those.
FORK = [
    start(job("j1")),
    then("t2", {"j1": "SUCCEEDED"}, job("j2")),
    then("t3", {"j1": "SUCCEEDED"}, job("j3")),
    then("t4", {"j2": "SUCCEEDED"}, job("j4")),
    then("t5", {"j3": "SUCCEEDED"}, job("j5")),
]
BOTH_FAILED = {"j2": "FAILED", "j3": "FAILED"}

RESUMES = [
    Resume(
        "the chosen nodes and what follows, not what succeeded",
        FORK, BOTH_FAILED, ["j2", "j3"], ["j2", "j3"], ["j2", "j3", "j4", "j5"], {},
    ),
    Resume(
        "one branch of two: the other stays as it failed",
        FORK, BOTH_FAILED, ["j3"], ["j3"], ["j3", "j5"], {},
    ),
    Resume(
        "what fails again is not followed",
        FORK, BOTH_FAILED, ["j2", "j3"], ["j2", "j3"], ["j2", "j3", "j5"], {"j2": "FAILED"},
    ),
    Resume(
        "a node downstream of another is started by the normal flow, not at once",
        FORK, {"j4": "FAILED"}, ["j4", "j2"], ["j2"], ["j2", "j4"], {},
    ),
    Resume(
        "a join finds the branch that stands succeeded",
        DIAMOND, {"fhir": "FAILED"}, ["fhir"], ["fhir"], ["fhir", "curate"], {},
    ),
    Resume(
        "a join waits in vain for a branch that stands failed",
        DIAMOND, {"fhir": "FAILED", "items": "TIMEOUT"}, ["fhir"], ["fhir"], ["fhir"], {},
    ),
    Resume(
        "a crawler can be resumed from as well; its sibling is not crawled again",
        DIAMOND, {"c1": "FAILED"}, ["c1"], ["c1"], ["c1", "items", "fhir", "curate"], {},
    ),
    Resume(
        "a node that succeeded can be chosen: all downstream of it runs again",
        DIAMOND, {}, ["items"], ["items"], ["items", "curate"], {},
    ),
    Resume(
        "a trigger on failure does not fire for a failure that was mended",
        [start(job("a")), then("ok", {"a": "SUCCEEDED"}, job("x")), then("bad", {"a": "FAILED"}, job("tell"))],
        {"a": "FAILED"}, ["a"], ["a"], ["a", "x"], {},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", RESUMES, ids=lambda case: case.reason)
def test_a_resumed_run(case: Resume) -> None:
    earlier, _ = walk_to_the_end(case.triggers, case.ends)
    triggers = read_triggers(case.triggers)
    chosen = [node for name in case.chosen for node in earlier.states if node.name == name]
    resumed = resumption(triggers, earlier.states, chosen)
    walk = Walk(triggers, resumed=resumed)
    waiting = walk.start()
    assert [action.node.name for action in waiting] == case.at_once
    started: list[str] = []
    while waiting:
        action = waiting.pop(0)
        started.append(action.node.name)
        waiting += walk.ended(action.node, case.again.get(action.node.name, "SUCCEEDED"))
    assert started == case.started
    assert walk.statistics()["TotalActions"] == len(started)
    for node in resumed.kept:
        assert node.name not in started
        assert walk.states[node] == earlier.states[node]


def test_a_resumed_run_can_be_resumed() -> None:
    triggers = read_triggers(FORK)
    first, _ = walk_to_the_end(FORK, BOTH_FAILED)
    second = Walk(triggers, resumed=resumption(triggers, first.states, [Node("JOB", "j2")]))
    second.start()
    second.ended(Node("JOB", "j2"), "SUCCEEDED")
    second.ended(Node("JOB", "j4"), "SUCCEEDED")
    third = resumption(triggers, second.states, [Node("JOB", "j3")])
    assert {node.name for node in third.kept} == {"j1", "j2", "j4"}


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [([], "at least one node"), (["j4"], "j4 cannot be resumed from: the run never started it")],
)
def test_a_run_is_resumed_only_from_what_it_started(chosen: list[str], problem: str) -> None:
    earlier, _ = walk_to_the_end(FORK, BOTH_FAILED)
    with pytest.raises(WorkflowGraphError, match=problem):
        resumption(read_triggers(FORK), earlier.states, [Node("JOB", name) for name in chosen])


def test_nothing_waits_for_actions_that_still_run() -> None:
    walk = Walk(read_triggers(DIAMOND))
    assert [action.node.name for action in walk.start()] == ["c1", "c2"]
    assert walk.ended(Node("CRAWLER", "c1"), "SUCCEEDED") == []
    assert not walk.is_over
    assert walk.statistics()["RunningActions"] == 1
    assert len(walk.ended(Node("CRAWLER", "c2"), "SUCCEEDED")) == 2


def test_statistics_count_what_was_started() -> None:
    walk, _ = walk_to_the_end(DIAMOND, {"items": "FAILED", "fhir": "TIMEOUT"})
    assert {name: count for name, count in walk.statistics().items() if count} == {
        "TotalActions": 4,
        "SucceededActions": 2,
        "FailedActions": 1,
        "TimeoutActions": 1,
    }


def test_a_stopped_run_starts_nothing_more() -> None:
    walk = Walk(read_triggers(DIAMOND))
    walk.start()
    walk.stopping = True
    walk.ended(Node("CRAWLER", "c1"), "SUCCEEDED")
    assert walk.ended(Node("CRAWLER", "c2"), "SUCCEEDED") == []
    assert walk.is_over


def test_the_actions_own_arguments_and_time_limit_reach_the_start() -> None:
    action = {"JobName": "a", "Arguments": {"--full": "true"}, "Timeout": 5}
    (started,) = Walk(read_triggers([start(action)])).start()
    assert started == Action("start", Node("JOB", "a"), (("--full", "true"),), 5)


@pytest.mark.parametrize(
    ("triggers", "problem"),
    [
        ([], "one trigger that starts it, this one has 0"),
        ([start(job("a")), {**start(job("b")), "Name": "other"}], "has 2: start, other"),
        ([start()], "start starts nothing"),
        ([start(crawler("c1"), crawler("c2"), crawler("c3"))], "more than 2 crawlers"),
        ([start(job("a")), then("t", {}, job("x"))], "t is conditional and has no condition"),
        (
            [start(job("a")), then("t", {"b": "SUCCEEDED"}, job("x"))],
            "t waits for b, which no trigger starts",
        ),
        ([start({"Timeout": 1})], "names neither a job nor a crawler"),
        (
            [start(job("a")), then("t", {"a": "ERROR"}, job("x"))],
            "a to be ERROR; a trigger can listen for SUCCEEDED, STOPPED, FAILED, TIMEOUT",
        ),
        (
            [start(crawler("c1")), then("t", {"c1": "TIMEOUT"}, job("x"))],
            "c1 to be TIMEOUT; a trigger can listen for SUCCEEDED, FAILED, CANCELLED",
        ),
    ],
)
def test_a_graph_that_glue_would_refuse_is_refused(triggers: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(WorkflowGraphError, match=problem):
        read_triggers(triggers)


STATES = st.sampled_from(["SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED"])


@given(st.data())
def test_every_walk_ends_and_starts_each_node_at_most_once(data: st.DataObject) -> None:
    """Random graphs, in which a trigger watches what earlier ones start, and random ends in random order."""
    names = ["j0"]
    raw = [start(job("j0"))]
    for number in range(1, data.draw(st.integers(1, 6))):
        watched = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        wanted = {name: data.draw(STATES) for name in watched}
        logical = data.draw(st.sampled_from(["AND", "ANY"]))
        raw.append(then(f"t{number}", wanted, job(f"j{number}"), logical=logical))
        names.append(f"j{number}")
    walk = Walk(read_triggers(raw))
    started = [action.node.name for action in walk.start()]
    while walk.running:
        node = data.draw(st.sampled_from(walk.running))
        started += [action.node.name for action in walk.ended(node, data.draw(STATES))]
    assert len(started) == len(set(started))
    ends = {node.name: state for node, state in walk.states.items()}
    for trigger in raw[1:]:
        conditions = trigger["Predicate"]["Conditions"]
        held = [ends.get(each["JobName"]) == each["State"] for each in conditions]
        holds = all(held) if trigger["Predicate"]["Logical"] == "AND" else any(held)
        assert holds == (trigger["Name"] in walk.fired)
