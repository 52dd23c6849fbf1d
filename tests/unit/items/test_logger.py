"""The logger writes what a function declared, and nothing that a patient's data could be in."""

from __future__ import annotations

import json

import pytest

from lambdas.shared.logger import make_logger


def test_only_declared_fields_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    logger = make_logger("declared-fields", "records")
    logger.info("landed", records=3, patient="Jane Doe")
    line = json.loads(capsys.readouterr().out)
    assert (line["records"], line["service"], line["withheld_fields"]) == (3, "declared-fields", ["patient"])
    assert "Jane" not in json.dumps(line)


def test_functions_in_one_process_keep_their_own_fields(capsys: pytest.CaptureFixture[str]) -> None:
    make_logger("first-function", "records")
    make_logger("second-function", "files").info("landed", files=2, records=3)
    line = json.loads(capsys.readouterr().out)
    assert (line["files"], line["withheld_fields"]) == (2, ["records"])


def test_an_exception_is_logged_without_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    logger = make_logger("exceptions")
    try:
        raise ValueError("Jane Doe")
    except ValueError:
        logger.exception("failed")
    text = capsys.readouterr().out
    line = json.loads(text)
    assert "Jane" not in text
    assert line["exception_name"] == "ValueError"
    assert line["raised_at"][0].endswith("test_an_exception_is_logged_without_what_it_says")
