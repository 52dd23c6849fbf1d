"""What a failed run says of itself."""

from __future__ import annotations

from pathlib import Path

from local.glue.worker import error_message
from schemas import SchemaError

LOG = Path("/logs/run.log")


def test_an_error_of_ours_is_told_in_its_own_words_on_one_line() -> None:
    error = SchemaError("views/patient.json", "name", "must be a text\nsecond line")
    assert error_message(error, LOG) == "SchemaError: views/patient.json: name: must be a text"


def test_an_error_of_sparks_about_names_is_told() -> None:
    class AnalysisException(Exception):
        """Named as pyspark's."""

    message = error_message(AnalysisException("[TABLE_OR_VIEW_NOT_FOUND] lake.x\nat line 1"), LOG)
    assert message == "AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] lake.x"


def test_any_other_error_is_named_without_its_text_which_may_quote_a_patient() -> None:
    try:
        raise ValueError("Jane Doe, 1980-01-01")
    except ValueError as error:
        message = error_message(error, LOG)
    assert message == f"ValueError; the log {LOG} has the details"
