from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.state_machine import DEFINITIONS, DefinitionError, read_definition


def test_only_the_placeholders_in_use_are_filled(tmp_path: Path) -> None:
    file = tmp_path / "m.asl.json"
    file.write_text('{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Queue}", "End": true}}}')
    definition, used = read_definition(file, {"Queue": "q", "Topic": "t"})
    assert json.loads(definition)["States"]["A"]["Result"] == "${Queue}"
    assert used == {"Queue": "q"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"Result": "${Quue}"}', r"nothing fills \$\{Quue\}; known are Queue"),
        ('{\n"Result": }', "line 2 is not JSON"),
        (None, "no such state machine definition"),
    ],
)
def test_a_definition_that_cannot_be_deployed_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "m.asl.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DefinitionError, match=message):
        read_definition(file, {"Queue": "q"})


@pytest.mark.parametrize("file", sorted(DEFINITIONS.glob("*.json")), ids=lambda file: file.name)
def test_every_state_of_a_machine_can_be_reached(file: Path) -> None:
    machine = json.loads(file.read_text())
    _check_reachable(machine)


def _check_reachable(machine: dict[str, object]) -> None:
    states = machine["States"]
    assert isinstance(states, dict)
    reached, waiting = set(), [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        assert name in states, f"no state {name}"
        reached.add(name)
        state = states[name]
        ways = [state, *state.get("Choices", []), *state.get("Catch", [])]
        waiting += [way["Next"] for way in ways if "Next" in way]
        waiting += [state["Default"]] if "Default" in state else []
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                _check_reachable(inner)
    assert reached == set(states)
