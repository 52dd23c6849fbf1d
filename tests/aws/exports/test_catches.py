"""Every Catch of the export machine is taken, and every time-out runs out: the next run heals what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.aws.exports.conftest import ASL, ENDED, World, states_entered, until
from tests.aws.exports.test_branches import deploy
from tests.aws.exports.test_workflow import own_lock, patients

STATES: dict[str, Any] = json.loads(ASL.read_text())["States"]
OTHER = "arn:aws:states:us-east-1:123456789012:execution:export:other"
BEHIND_A_LOCK = ("FindOwner", "DescribeOwner", "TakeOver")
OPTIONS: dict[str, dict[str, Any]] = {
    "KeepWatermark": {"types": ["Patient"]},
    **{name: {"mode": "partial"} for name in ("RecordFailure", "PublishFailure", "AnnounceFailure")},
}
"""What a run is asked for, so that it comes to a state which others do not see."""
GOES_ON = {"FindOwner": "skipped", "Skipped": "skipped", "WorkflowBusy": "landed", "TakeOver": "landed"}
"""Where a caught error is no failure: the run's outcome."""


def catches() -> Iterator[Any]:
    for name, state in STATES.items():
        for catch in state.get("Catch", ()):
            for error in catch["ErrorEquals"]:
                yield pytest.param(
                    name, error.replace("States.ALL", "Broken"), catch["Next"], id=f"{name}-{error}"
                )


@pytest.mark.parametrize(("name", "error", "following"), catches())
def test_an_error_is_caught_and_nothing_stays_locked(
    world: World, name: str, error: str, following: str
) -> None:
    world.lake.put_all(patients("a"))
    if name in BEHIND_A_LOCK:
        own_lock(OTHER)
    changes = {name: {**failing(error), **dict.fromkeys(("ItemReader", "ItemProcessor", "ItemSelector"))}}
    if name == "PublishResources":
        changes["AnnounceResources"] = {"Choices": STATES["AnnounceResources"]["Choices"], "Default": name}
    healthy = world.machine
    deploy(world, **changes)
    ended = world.run(OPTIONS.get(name, {}))
    entered = states_entered(ended["executionArn"])
    assert entered[entered.index(name) + 1] == following
    if following in GOES_ON:
        assert json.loads(ended["output"])["outcome"] == GOES_ON[following]
    else:
        assert ended["status"] == "FAILED"
        told = world.outcomes()
        assert [each["outcome"] for each in told] == ([] if name == "PublishFailure" else ["failed"])
        wrong_option = OPTIONS.get(name) == {"mode": "partial"}
        error = "LockLost" if following == "LockLost" else error
        assert ended["cause"].startswith("InvalidRequest: " if wrong_option else f"{error}: ")
    if "ownerArn" in world.record():  # that of an execution which has ended, and so of nobody
        world.machine = healthy
        assert json.loads(world.run()["output"])["outcome"] == "landed"
    assert "ownerArn" not in world.record()


def failing(error: str) -> dict[str, Any]:
    """A state's call that fails with this error."""
    function = "arn:aws:lambda:us-east-1:123456789012:function:land_export"
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": {"raise": error}},
    }


def test_a_run_that_takes_too_long_times_out_and_the_next_takes_its_lock_over(world: World) -> None:
    healthy = world.machine
    world.deploy(json.dumps({**json.loads(world.definition), "TimeoutSeconds": 5}))
    late = world.start()
    until(lambda: world.described(late)["status"] in ENDED)
    assert world.described(late)["status"] == "TIMED_OUT"
    assert world.record()["ownerArn"] == late
    world.machine = healthy
    world.lake.put_all(patients("a"))
    assert json.loads(world.run()["output"])["outcome"] == "landed"
    assert "ownerArn" not in world.record()
