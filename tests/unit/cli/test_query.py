"""A statement reaches ``watershed query`` as it stands, whatever it begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.questions import load_questions
from local.cli import app


@pytest.mark.parametrize("before", [[], ["--limit", "5"]])
def test_a_question_of_the_docs_is_no_option(
    before: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    question = load_questions()[0]
    assert question.sql.startswith("--")
    result = CliRunner().invoke(app, ["query", *before, question.sql])
    assert result.exit_code == 1
    assert "watershed up" in result.output, "it was understood, and there is no lake here"


def test_a_mistyped_option_is_still_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["query", "--as-off", "2026-01-01", "select 1"])
    assert result.exit_code == 2
