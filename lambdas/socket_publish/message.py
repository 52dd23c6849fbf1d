"""What a socket's client is told of an event: pure. docs/control-plane.md documents the format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_EXPORTS: Final = {"Export Landed": "SUCCEEDED", "Export Failed": "FAILED"}
_JOB: Final = "Glue Job State Change"
_TABLE: Final = "Glue Data Catalog Table State Change"


def message(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The message for an event of the bus, or None for one that is nothing to tell.

    Every message has `type`, `id` (the event's: the same event told twice has the same), `at`, `name` and
    `status`. Errors are told by name; their texts are for those who ask the API.
    """
    kind, detail = event.get("detail-type"), event.get("detail") or {}
    told = {"id": event.get("id"), "at": event.get("time")}
    if kind in _EXPORTS:
        name = str(detail.get("execution", "")).rpartition(":")[2]
        more = {
            "files": detail.get("files"),
            "run_id": detail.get("workflowRunId"),
            "error": detail.get("error"),
        }
        return _without_nothing({"type": "export", **told, "name": name, "status": _EXPORTS[kind], **more})
    if kind == _JOB:
        more = {
            "name": detail.get("jobName"),
            "status": detail.get("state"),
            "run_id": detail.get("jobRunId"),
        }
        return _without_nothing({"type": "job", **told, **more})
    if kind == _TABLE:
        zone = str(detail.get("databaseName", "")).rpartition("_")[2]
        name = f"{zone}.{detail.get('tableName')}"
        return _without_nothing({"type": "table", **told, "name": name, "status": "CHANGED"})
    return None


def _without_nothing(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value not in (None, "")}
