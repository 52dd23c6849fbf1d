"""What a person reads when an export fails, and what they are told to do."""

from __future__ import annotations

from typing import Any

import pytest

from local.errors import LocalError
from local.export import await_export

JOB = "0123456789abcdef0123456789abcdef"


class Execution:
    """Step Functions, of one execution that has failed."""

    def __init__(self, cause: str) -> None:
        self.cause = cause

    def describe_execution(self, executionArn: str) -> dict[str, Any]:
        return {"status": "FAILED", "error": "ExportRunFailed", "cause": self.cause}


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        ("InvalidRequest: mode takes full or incremental", "watershed export --help"),
        ("ExportFailed: the job failed", "the next export repeats it: watershed export"),
        (f"States.TaskFailed: x | Export job {JOB} is not lost: …", f"watershed export --redrive {JOB} "),
    ],
)
def test_a_failed_export_says_what_to_do(cause: str, remedy: str) -> None:
    with pytest.raises(LocalError) as failure:
        await_export(Execution(cause), "arn", lambda _: None)
    assert cause in str(failure.value)
    assert remedy in str(failure.value.remedy)
