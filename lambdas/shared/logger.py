"""The logger of every function: structured JSON, and no protected health information by construction.

A function says once which fields it logs; a field that it did not name is withheld, and only its name is
written. Exceptions are logged by type and place, never by message, because a message may quote the data
that caused it.
"""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_STANDARD_FIELDS = frozenset(
    {
        "level",
        "location",
        "message",
        "timestamp",
        "service",
        "xray_trace_id",
        "exception_name",
        "cold_start",
        "function_name",
        "function_arn",
        "function_memory_size",
        "function_request_id",
        "correlation_id",
    }
)
_LOG_EVENT_SWITCH = "POWERTOOLS_LOGGER_LOG_EVENT"


class DeclaredFieldsFormatter(LambdaPowertoolsFormatter):
    """Writes the standard fields and the declared ones; names, but does not write, any other."""

    def __init__(self, declared: frozenset[str]) -> None:
        super().__init__(use_rfc3339=True, utc=True)
        self._allowed = _STANDARD_FIELDS | declared

    def serialize(self, log: Any) -> str:
        """One line of JSON from the fields that powertools collected."""
        trace = log.pop("stack_trace", None)
        for spoken in ("exception", "exception_notes"):
            log.pop(spoken, None)
        line = {name: value for name, value in log.items() if name in self._allowed}
        withheld = sorted(set(log) - set(line))
        if withheld:
            line["withheld_fields"] = withheld
        if trace:
            line["raised_at"] = [
                f"{frame['file']}:{frame['line']} {frame['function']}" for frame in trace["frames"]
            ]
        return super().serialize(line)


def make_logger(service: str, *fields: str) -> Logger:
    """A logger that writes ``fields`` and the standard ones, and nothing else; one for each ``service``.

    Loggers of one service name share one handler, so the first would decide the fields of all: a function
    passes its own name. The level comes from ``LOG_LEVEL`` (INFO where unset).
    """
    # The event is PHI: powertools' switch that logs it must not work, whoever sets it.
    os.environ.pop(_LOG_EVENT_SWITCH, None)
    level = os.environ.get("POWERTOOLS_LOG_LEVEL") or os.environ.get("LOG_LEVEL") or "INFO"
    return Logger(service=service, level=level, logger_formatter=DeclaredFieldsFormatter(frozenset(fields)))
