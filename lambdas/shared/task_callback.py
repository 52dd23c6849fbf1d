"""Answers to a Step Functions task that waits for its token.

A task that has ended meanwhile is no error: messages come twice and late, and then the answer is moot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_GONE: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
_MAX_ERROR, _MAX_CAUSE = 256, 32_768  # bounds of SendTaskFailure


@dataclass(frozen=True)
class TaskCallback:
    """Each method tells whether the task was still waiting. Other errors of the service are raised."""

    sfn: SFNClient

    def heartbeat(self, token: str) -> bool:
        """Say that work goes on."""
        return _answered(lambda: self.sfn.send_task_heartbeat(taskToken=token))

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """End the task with its output."""
        return _answered(lambda: self.sfn.send_task_success(taskToken=token, output=json.dumps(output)))

    def fail(self, token: str, error: str, cause: str) -> bool:
        """End the task with an error's name and what to do about it."""
        return _answered(
            lambda: self.sfn.send_task_failure(
                taskToken=token, error=error[:_MAX_ERROR], cause=cause[:_MAX_CAUSE]
            )
        )


def _answered(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True
