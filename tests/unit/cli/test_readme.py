"""The README names no command that ``watershed`` does not have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from local.cli import app

README = (Path(__file__).parents[3] / "README.md").read_text()
COMMANDS = sorted({*re.findall(r"^watershed ([a-z]+(?: run(?= VIEW)| backfill)?)", README, re.MULTILINE)})


def test_commands_are_found_in_the_readme() -> None:
    assert {"up", "query", "view run", "items backfill"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_exists(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0, result.output
