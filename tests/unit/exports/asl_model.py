"""A small model of Step Functions: enough of the States Language to run our machines a state at a time.

Waits of retries take no time, and a Distributed Map runs its items one after another. Resources are called
by name; what they raise as ``TaskError`` is retried and caught as the definition says.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Resource = Callable[[Any, "Execution"], Any]


class TaskError(Exception):
    """A task failed with this error's name."""

    def __init__(self, name: str, cause: str = "") -> None:
        self.name, self.cause = name, cause
        super().__init__(name)


@dataclass
class Waiting:
    """A task that waits for its token."""

    token: str
    heartbeat: float
    deadline: float
    beat_by: float


@dataclass
class Execution:
    """One execution; ``step`` runs one state. ``status`` is as Step Functions names it."""

    arn: str
    definition: Mapping[str, Any]
    resources: Mapping[str, Resource]
    now: Callable[[], float]
    entered: Callable[[], str]
    value: Any
    status: str = "RUNNING"
    at: str = ""
    attempts: dict[str, int] = field(default_factory=dict)
    waiting: Waiting | None = None
    answer: tuple[bool, Any] | None = None
    error: str = ""
    tokens: int = 0

    def __post_init__(self) -> None:
        self.at = self.definition["StartAt"]

    @property
    def token(self) -> str:
        return f"{self.arn}#{self.tokens}"

    def step(self) -> bool:
        """Run one state, or see whether a wait is over; False where there is nothing to do."""
        if self.status != "RUNNING":
            return False
        state = self.definition["States"][self.at]
        if self.waiting is not None:
            return self._waited(state)
        if state["Type"] == "Wait" and self.entered() < self.read(state["TimestampPath"]):
            return False
        try:
            self._run(state)
        except TaskError as error:
            self._failed(state, error)
        return True

    def _waited(self, state: Mapping[str, Any]) -> bool:
        assert self.waiting is not None
        late = self.now() > min(self.waiting.beat_by, self.waiting.deadline)
        if self.answer is None and not late:
            return False
        self.waiting, answer, self.answer = None, self.answer, None
        if answer is None:
            self._failed(state, TaskError("States.Timeout"))
        elif answer[0]:
            self._finish(state, answer[1])
        else:
            self._failed(state, TaskError(*answer[1]))
        return True

    def _run(self, state: Mapping[str, Any]) -> None:
        kind = state["Type"]
        if kind == "Pass":
            result = state.get("Result", self.value)
            if "Parameters" in state:
                result = self.fill(state["Parameters"])
            self._finish(state, result)
        elif kind == "Wait":
            self.at = state["Next"]
        elif kind == "Choice":
            chosen = next((each["Next"] for each in state["Choices"] if self._holds(each)), None)
            self.at = chosen or state["Default"]
        elif kind == "Task":
            self._task(state)
        elif kind == "Map":
            self._map(state)
            self._finish(state, [])
        elif kind == "Fail":
            self.status, self.error = "FAILED", str(self.read(state["CausePath"]))
        else:
            raise AssertionError(f"the model has no state of type {kind}")

    def _task(self, state: Mapping[str, Any]) -> None:
        name = state["Resource"].removeprefix("arn:aws:states:::")
        if name.endswith(".waitForTaskToken"):
            self.tokens += 1
        result = self.resources[name](self.fill(state["Parameters"]), self)
        if name.endswith(".waitForTaskToken"):
            beat = float(state["HeartbeatSeconds"])
            self.waiting = Waiting(self.token, beat, self.now() + state["TimeoutSeconds"], self.now() + beat)
            return
        self._finish(state, result)

    def _map(self, state: Mapping[str, Any]) -> None:
        reader = state["ItemReader"]
        items = self.resources["s3:getObject"](self.fill(reader["Parameters"]), self)
        processor = state["ItemProcessor"]
        task = processor["States"][processor["StartAt"]]
        for item in items:
            selected = self.fill(state["ItemSelector"], item)
            for attempt in range(100):
                try:
                    self.resources["lambda:invoke"](
                        {"FunctionName": task["Parameters"]["FunctionName"], "Payload": selected}, self
                    )
                    break
                except TaskError as error:
                    if attempt >= _retries(task, error.name):
                        raise TaskError("States.ExceedToleratedFailureThreshold") from None

    def _failed(self, state: Mapping[str, Any], error: TaskError) -> None:
        used = self.attempts.get(self.at, 0)
        if used < _retries(state, error.name):
            self.attempts[self.at] = used + 1
            return
        for each in state.get("Catch", ()):
            if _matches(each["ErrorEquals"], error.name):
                self._put(each.get("ResultPath", "$"), {"Error": error.name, "Cause": error.cause})
                self.at = each["Next"]
                return
        self.status, self.error = "FAILED", error.name

    def _finish(self, state: Mapping[str, Any], result: Any) -> None:
        if "ResultSelector" in state:
            result = self.fill(state["ResultSelector"], source=result)
        self._put(state.get("ResultPath", "$"), result)
        if "OutputPath" in state:
            self.value = self.read(state["OutputPath"])
        if state.get("End"):
            self.status = "SUCCEEDED"
        else:
            self.at = state["Next"]

    def _put(self, path: str | None, result: Any) -> None:
        if path == "$":
            self.value = result
        elif path is not None:
            self.value = {**self.value, path.removeprefix("$."): result}

    def fill(self, template: Any, item: Any = None, source: Any = None) -> Any:
        """A template with its paths and intrinsic functions put in."""
        if isinstance(template, list):
            return [self.fill(each, item, source) for each in template]
        if not isinstance(template, dict):
            return template
        filled = {}
        for key, each in template.items():
            if key.endswith(".$"):
                filled[key[:-2]] = copy.deepcopy(self.read(each, item, source))
            else:
                filled[key] = self.fill(each, item, source)
        return filled

    def read(self, path: str, item: Any = None, source: Any = None) -> Any:
        """What a path or an intrinsic function stands for."""
        if path.startswith("States."):
            return self._intrinsic(path)
        context = {
            "$$.Execution.Id": self.arn,
            "$$.Task.Token": self.token,
            "$$.Map.Item.Value": item,
        }
        if path == "$$.State.EnteredTime":
            return self.entered()
        if path in context:
            return context[path]
        value = self.value if source is None else source
        for part in path.split(".")[1:]:
            if not isinstance(value, dict) or part not in value:
                raise TaskError("States.Runtime", f"{path} is not there")
            value = value[part]
        return value

    def _intrinsic(self, text: str) -> Any:
        name, _, rest = text.removesuffix(")").partition("(")
        parts = [part.strip() for part in rest.split(", ")]
        if name == "States.JsonMerge":
            return {**self.read(parts[0]), **self.read(parts[1])}
        if name == "States.JsonToString":
            return json.dumps(self.read(parts[0]))
        if name == "States.Format":
            return parts[0].strip("'").format(*(self.read(part) for part in parts[1:]))
        raise AssertionError(f"the model has no {name}")

    def _holds(self, choice: Mapping[str, Any]) -> bool:
        if "And" in choice:
            return all(self._holds(each) for each in choice["And"])
        if "Or" in choice:
            return any(self._holds(each) for each in choice["Or"])
        try:
            value = self.read(choice["Variable"])
        except TaskError:
            return choice.get("IsPresent") is False
        if "IsPresent" in choice:
            return bool(choice["IsPresent"])
        (name,) = set(choice) - {"Variable", "Next"}
        tests: dict[str, Callable[[Any, Any], bool]] = {
            "StringEquals": lambda a, b: a == b,
            "BooleanEquals": lambda a, b: a is b,
            "NumericGreaterThan": lambda a, b: a > b,
        }
        return tests[name](value, choice[name])


def _retries(state: Mapping[str, Any], error: str) -> int:
    found = (each for each in state.get("Retry", ()) if _matches(each["ErrorEquals"], error))
    return next((int(each["MaxAttempts"]) for each in found), 0)


def _matches(names: list[str], error: str) -> bool:
    return (
        error in names
        or "States.ALL" in names
        or ("States.TaskFailed" in names and error != "States.Timeout")
    )
