"""Walking a workflow's triggers with Glue's semantics: pure, fed with what ended, answering what to start.

From https://docs.aws.amazon.com/glue/latest/dg/workflows_overview.html and ``about-triggers.html``:

- a run begins with the one start trigger (on demand, scheduled or event), whose actions start together;
- a conditional trigger fires once in a run, when its conditions hold: all of them (AND) or any (ANY); it must
  be activated;
- conditions look only at what this run started, and listen only for the states that ``Condition`` of the API
  names: an ERROR fires nothing;
- the run is over when nothing runs and nothing more can fire. It is then COMPLETED even if actions failed:
  the statistics tell. What waited for them was never started.

and ``resuming-workflow.html``:

- a run that is COMPLETED can be resumed, from nodes that it started; it is a new run;
- those nodes and all downstream of them run, each as the triggers say; one that is downstream of another of them
  is started by the normal flow, and not at once;
- everything else stands as it ended: a trigger that also waits for it finds it so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from local.glue.errors import WorkflowGraphError

Kind = Literal["JOB", "CRAWLER"]
START_TYPES = ("ON_DEMAND", "SCHEDULED", "EVENT")
MAX_CRAWLERS = 2
"""In the actions of one trigger: Glue's limit."""

_LISTENED_FOR: Mapping[Kind, tuple[str, ...]] = {
    "JOB": ("SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT"),
    "CRAWLER": ("SUCCEEDED", "FAILED", "CANCELLED"),
}
"""https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-trigger.html"""

_COUNTED_AS: Mapping[str, str] = {
    "RUNNING": "RunningActions",
    "SUCCEEDED": "SucceededActions",
    "FAILED": "FailedActions",
    "STOPPED": "StoppedActions",
    "CANCELLED": "StoppedActions",
    "TIMEOUT": "TimeoutActions",
    "ERROR": "ErroredActions",
}


@dataclass(frozen=True)
class Node:
    kind: Kind
    name: str


@dataclass(frozen=True)
class Action:
    """One start of a node by a trigger."""

    trigger: str
    node: Node
    arguments: tuple[tuple[str, str], ...] = ()
    timeout: int | None = None


@dataclass(frozen=True)
class Condition:
    """That a node ended in a state; Glue knows no other operator than EQUALS."""

    node: Node
    state: str


@dataclass(frozen=True)
class Trigger:
    name: str
    type: str
    activated: bool
    actions: tuple[Action, ...]
    conditions: tuple[Condition, ...] = ()
    any_of: bool = False

    def holds(self, states: Mapping[Node, str]) -> bool:
        """Whether the conditions hold, given the state that each node of the run ended in."""
        held = [states.get(each.node) == each.state for each in self.conditions]
        return any(held) if self.any_of else all(held)


def read_triggers(raw: Iterable[Mapping[str, Any]]) -> tuple[Trigger, ...]:
    """Triggers in the shape of ``GetTriggers``.

    Raises
    ------
    WorkflowGraphError : they are no graph that Glue would walk; the text names the trigger
    """
    triggers = tuple(map(_trigger, raw))
    starts = [trigger.name for trigger in triggers if trigger.type in START_TYPES]
    if len(starts) != 1:
        raise WorkflowGraphError(
            f"A workflow has one trigger that starts it, this one has {len(starts)}: {', '.join(starts)}"
        )
    started = {action.node for trigger in triggers for action in trigger.actions}
    for trigger in triggers:
        if not trigger.actions:
            raise WorkflowGraphError(f"Trigger {trigger.name} starts nothing")
        if sum(action.node.kind == "CRAWLER" for action in trigger.actions) > MAX_CRAWLERS:
            raise WorkflowGraphError(f"Trigger {trigger.name} starts more than {MAX_CRAWLERS} crawlers")
        if trigger.type == "CONDITIONAL" and not trigger.conditions:
            raise WorkflowGraphError(f"Trigger {trigger.name} is conditional and has no condition")
        for condition in trigger.conditions:
            known = _LISTENED_FOR[condition.node.kind]
            if condition.state not in known:
                raise WorkflowGraphError(
                    f"Trigger {trigger.name} waits for {condition.node.name} to be {condition.state}; a trigger"
                    f" can listen for {', '.join(known)}"
                )
            if condition.node not in started:
                raise WorkflowGraphError(
                    f"Trigger {trigger.name} waits for {condition.node.name}, which no trigger starts"
                )
    return triggers


def _trigger(raw: Mapping[str, Any]) -> Trigger:
    name = str(raw["Name"])
    predicate = raw.get("Predicate") or {}
    return Trigger(
        name=name,
        type=str(raw["Type"]),
        activated=raw.get("State") == "ACTIVATED",
        actions=tuple(_action(name, each) for each in raw.get("Actions", [])),
        conditions=tuple(_condition(name, each) for each in predicate.get("Conditions", [])),
        any_of=predicate.get("Logical", "AND") == "ANY",
    )


def _action(trigger: str, raw: Mapping[str, Any]) -> Action:
    if raw.get("CrawlerName"):
        return Action(trigger, Node("CRAWLER", raw["CrawlerName"]))
    if raw.get("JobName"):
        arguments = tuple((str(key), str(value)) for key, value in (raw.get("Arguments") or {}).items())
        return Action(trigger, Node("JOB", raw["JobName"]), arguments, raw.get("Timeout"))
    raise WorkflowGraphError(f"Trigger {trigger} has an action that names neither a job nor a crawler")


def _condition(trigger: str, raw: Mapping[str, Any]) -> Condition:
    if raw.get("CrawlerName"):
        return Condition(Node("CRAWLER", raw["CrawlerName"]), str(raw.get("CrawlState")))
    if raw.get("JobName"):
        return Condition(Node("JOB", raw["JobName"]), str(raw.get("State")))
    raise WorkflowGraphError(f"Trigger {trigger} has a condition that names neither a job nor a crawler")


@dataclass(frozen=True)
class Resumption:
    """A run that goes on where an earlier one broke off.

    Attributes
    ----------
    start : the nodes to start at once
    kept : the nodes that stand as they ended
    states : of all that the earlier run started
    """

    start: tuple[Node, ...]
    kept: frozenset[Node]
    states: Mapping[Node, str]


def downstream(triggers: Sequence[Trigger], nodes: Iterable[Node]) -> set[Node]:
    """All that triggers start once any of `nodes` has ended, and so on; without `nodes` themselves."""
    found: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        for trigger in triggers:
            if any(condition.node == node for condition in trigger.conditions):
                new = {action.node for action in trigger.actions} - found
                found |= new
                waiting += new
    return found


def resumption(triggers: Sequence[Trigger], states: Mapping[Node, str], chosen: Sequence[Node]) -> Resumption:
    """What resuming from `chosen` runs, given the `states` of what the earlier run started.

    Raises
    ------
    WorkflowGraphError : no node is chosen, or one that the earlier run did not start
    """
    if not chosen:
        raise WorkflowGraphError("A run is resumed from at least one node")
    for node in chosen:
        if node not in states:
            raise WorkflowGraphError(f"{node.name} cannot be resumed from: the run never started it")
    start = tuple(
        node
        for node in dict.fromkeys(chosen)
        if node not in downstream(triggers, (each for each in chosen if each != node))
    )
    again = {*start, *downstream(triggers, start)}
    return Resumption(start, frozenset(node for node in states if node not in again), states)


@dataclass
class Walk:
    """One run. Ask :meth:`start`, then tell each end to :meth:`ended`; both answer what to start now."""

    triggers: Sequence[Trigger]
    states: dict[Node, str] = field(default_factory=dict)
    """The state of each node that this run started."""
    fired: set[str] = field(default_factory=set)
    stopping: bool = False
    resumed: Resumption | None = None
    """Where the run goes on from; None where it begins with the start trigger."""

    def __post_init__(self) -> None:
        if self.resumed:
            before, kept = self.resumed.states, self.resumed.kept
            self.states = {node: before[node] for node in kept}
            # A trigger can fire again where something that it waits for is run again.
            self.fired = {
                trigger.name
                for trigger in self.triggers
                if all(action.node in before for action in trigger.actions)
                and all(condition.node in kept for condition in trigger.conditions)
            }

    def start(self) -> list[Action]:
        if self.resumed:
            # As the trigger that first started it does: with its arguments and its time limit.
            actions = {action.node: action for each in self.triggers for action in each.actions}
            self.states |= dict.fromkeys(self.resumed.start, "RUNNING")
            return [actions[node] for node in self.resumed.start]
        return [
            action
            for trigger in self.triggers
            if trigger.type in START_TYPES
            for action in self._fire(trigger)
        ]

    def ended(self, node: Node, state: str) -> list[Action]:
        """A node of this run ended: what now starts."""
        self.states[node] = state
        if self.stopping:
            return []
        ready = [
            trigger
            for trigger in self.triggers
            if trigger.type == "CONDITIONAL"
            and trigger.activated
            and trigger.name not in self.fired
            and trigger.holds(self.states)
        ]
        return [action for trigger in ready for action in self._fire(trigger)]

    def _fire(self, trigger: Trigger) -> list[Action]:
        self.fired.add(trigger.name)
        for action in trigger.actions:
            self.states[action.node] = "RUNNING"
        return list(trigger.actions)

    @property
    def running(self) -> list[Node]:
        return [node for node, state in self.states.items() if state == "RUNNING"]

    @property
    def is_over(self) -> bool:
        """Nothing runs. Nothing more can fire either: a trigger fires when something ends, or not at all."""
        return not self.running

    def statistics(self) -> dict[str, int]:
        """``Statistics`` of ``GetWorkflowRun``: of the actions that this run started."""
        kept = self.resumed.kept if self.resumed else frozenset()
        started = {node: state for node, state in self.states.items() if node not in kept}
        counts = Counter(_COUNTED_AS.get(state, "ErroredActions") for state in started.values())
        names = dict.fromkeys(_COUNTED_AS.values(), 0)
        return {"TotalActions": len(started), "WaitingActions": 0, **names, **counts}

    def skipped(self) -> list[Node]:
        """What the workflow would have started had its triggers fired, once the run is over."""
        named = {action.node: None for trigger in self.triggers for action in trigger.actions}
        return [node for node in named if node not in self.states]
