"""What requests and answers look like: JSON schemas, named as in the description.

A request's schema is checked by the gateway before anything runs, so it says all that can be said.
"""

from __future__ import annotations

from typing import Any, Final

EXECUTION_NAME: Final = "^[A-Za-z0-9_-]{1,80}$"
"""What Step Functions takes as the name of an execution, without what would need encoding in a URL."""

EXPORT_STATUSES: Final = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
"""Those of an execution of Step Functions."""

_INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$"

_EMAIL = r"^[!#-;=?A-Z\[-~]{1,64}@[A-Za-z0-9.-]{1,180}\.[A-Za-z]{2,24}$"
"""What is printed of ASCII, but for space, quote, angle brackets and a second @: said by characters, for what `\\s`
holds differs between the validators of the gateway, the emulator and clients."""

_NAME = {"type": "string", "pattern": EXECUTION_NAME}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_MOMENT = {"type": "number", "description": "Seconds since 1970-01-01T00:00:00Z"}
_REASON = {
    "type": "string",
    "maxLength": 500,
    "description": "Why, for whoever reads it later; no patient data",
}
_NEXT = {"type": "string", "description": "Ask for the next page with this; absent on the last"}


def _object(required: tuple[str, ...] = (), *, closed: bool = False, **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        made["required"] = list(required)
    if closed:
        made["additionalProperties"] = False
    return made


def _list(of: str, name: str, *, pages: bool = True) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": "array", "items": reference(of)}}
    if pages:
        properties["next"] = _NEXT
    return _object((name,), **properties)


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "ExportRequest": _object(
        closed=True,
        name={**_NAME, "description": "A name of your own: asking again with it starts nothing twice"},
        mode={"type": "string", "enum": ["incremental", "full"]},
        types={
            "type": "array",
            "items": {"type": "string", "pattern": "^[A-Z][A-Za-z]{1,63}$"},
            "maxItems": 150,
            "uniqueItems": True,
            "description": "Resource types; all of them where empty or left out",
        },
        since={
            "type": "string",
            "pattern": _INSTANT,
            "description": "An instant with a zone, in place of the watermark",
        },
        acceptErrors={"type": "boolean"},
        reason=_REASON,
    ),
    "RunRequest": _object(closed=True, reason=_REASON),
    "AnalystRequest": _object(
        ("email", "name", "group"),
        closed=True,
        email={"type": "string", "pattern": _EMAIL, "maxLength": 254},
        name={"type": "string", "minLength": 1, "maxLength": 120},
        group={"type": "string", "enum": ["analyst", "engineer"]},
    ),
}

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "Error": _object(
        ("message", "code", "request_id"),
        message={"type": "string", "description": "What is wrong, and what to do"},
        code=_TEXT,
        request_id={"type": "string", "description": "Name it when you ask for help"},
    ),
    "ExportStarted": _object(
        ("name", "status", "status_url"),
        name=_TEXT,
        status={"type": "string", "enum": ["RUNNING"]},
        status_url={"type": "string", "description": "Where to ask how it ended, on this host"},
    ),
    "Export": _object(
        ("name", "status", "started_at"),
        name=_TEXT,
        status={"type": "string", "enum": list(EXPORT_STATUSES)},
        started_at=_MOMENT,
        ended_at=_MOMENT,
        options={"type": "object", "description": "What was asked for"},
        outcome={"type": "object", "description": "What came of it, once it has succeeded"},
        error=_TEXT,
        cause=_TEXT,
    ),
    "Exports": _list("Export", "exports"),
    "RunStarted": _object(
        ("id", "status", "status_url"),
        id=_TEXT,
        status={"type": "string", "enum": ["RUNNING"]},
        status_url=_TEXT,
    ),
    "Run": _object(
        ("id", "status", "started_at"),
        id=_TEXT,
        status={"type": "string", "enum": ["RUNNING", "COMPLETED", "STOPPING", "STOPPED", "ERROR"]},
        started_at=_MOMENT,
        ended_at=_MOMENT,
        export_id={"type": "string", "description": "The export that started it, where one did"},
        reason=_TEXT,
        actions=_object(total=_COUNT, running=_COUNT, succeeded=_COUNT, failed=_COUNT),
        nodes={"type": "array", "items": reference("RunNode")},
    ),
    "RunNode": _object(
        ("kind", "name", "state"),
        kind={"type": "string", "enum": ["job", "crawler"]},
        name=_TEXT,
        state=_TEXT,
        started_at=_MOMENT,
        ended_at=_MOMENT,
        error=_TEXT,
    ),
    "Runs": _list("Run", "runs"),
    "Table": _object(
        ("table", "rows"),
        table={"type": "string", "description": "As in SQL, such as curated.patient"},
        rows={"type": "integer", "description": "Rows that analysts see"},
        published_at={**_MOMENT, "description": "When what analysts see was published"},
        snapshot={"type": "string", "description": "The Iceberg snapshot that analysts see"},
        failed_at={**_MOMENT, "description": "When newer rows failed their audit; absent where none wait"},
    ),
    "Tables": _list("Table", "tables", pages=False),
    "Quarantined": _object(
        ("source", "reason", "objects", "bytes", "first_at", "latest_at"),
        source={"type": "string", "description": "What the lines came by: items, fhir or fhir_changes"},
        reason={"type": "string", "description": "Why they were refused, as a short name"},
        objects={
            "type": "integer",
            "description": "Objects in quarantine: each has the lines refused for this reason in one landed object",
        },
        bytes={"type": "integer", "description": "Their size, compressed"},
        first_at=_MOMENT,
        latest_at=_MOMENT,
    ),
    "Quarantine": _object(
        ("quarantine", "complete"),
        quarantine={"type": "array", "items": reference("Quarantined")},
        complete={"type": "boolean", "description": "False where there is more than was counted"},
    ),
    "Analyst": _object(
        ("id", "enabled"),
        id={"type": "string", "description": "A number: the name of the user, too"},
        email=_TEXT,
        name=_TEXT,
        group=_TEXT,
        enabled={"type": "boolean"},
    ),
}
