"""What the API can do, and what is behind each operation.

Most operations are one call of an AWS service, made by the gateway itself from a template. The tables and the
quarantine are the exceptions: what they hold is in many objects' metadata, in S3, and a template makes one call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from infra.api.schemas import EXPORT_STATUSES

READ: Final = "read"
START: Final = "start"
ADMIT: Final = "admit"

SCOPES: Final[Mapping[str, str]] = {
    READ: "See exports, runs, tables and the quarantine",
    START: "Start exports and runs",
    ADMIT: "Admit and disable analysts",
}

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "analyst": (READ,),
    "engineer": (READ, START, ADMIT),
}
"""The user pool's groups, and the scopes that their members' tokens get."""


@dataclass(frozen=True)
class Call:
    """One call of an AWS service, from template to template.

    Attributes
    ----------
    service, action : such as `states` and `StartExecution`
    role : which of the API's roles makes it
    request, response, error : names of templates in `templates/`, without their endings
    """

    service: str
    action: str
    role: str
    request: str
    response: str
    error: str


@dataclass(frozen=True)
class Invoke:
    """A function that is given the whole request, and answers the whole response."""

    folder: str


@dataclass(frozen=True)
class Query:
    """A query parameter; all are optional."""

    name: str
    description: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """A method of a path. `answer` is the schema of what it answers with `status` when all goes well, and
    `refusals` the statuses it may answer otherwise, besides those that any operation may."""

    id: str
    method: str
    path: str
    summary: str
    scope: str
    status: int
    answer: str
    behind: Call | Invoke
    body: str = ""
    query: tuple[Query, ...] = ()
    refusals: Mapping[int, str] = field(default_factory=dict)


_NEXT = Query("next", "The `next` of the page before")
_NO_EXPORT = {404: "There is no export of this name"}
_NO_RUN = {404: "There is no run of this id"}

OPERATIONS: Final = (
    Operation(
        "startExport",
        "post",
        "/exports",
        "Start an export",
        START,
        202,
        "ExportStarted",
        Call("states", "StartExecution", "start-exports", "start_export", "start_export", "start_export"),
        body="ExportRequest",
        refusals={409: "An export of this name was started before, with other options or to its end"},
    ),
    Operation(
        "listExports",
        "get",
        "/exports",
        "Exports, the latest first",
        READ,
        200,
        "Exports",
        Call("states", "ListExecutions", "read", "list_exports", "list_exports", "export"),
        query=(
            _NEXT,
            Query("status", "Only those in this status", values=EXPORT_STATUSES),
        ),
    ),
    Operation(
        "readExport",
        "get",
        "/exports/{name}",
        "How an export goes, or how it ended",
        READ,
        200,
        "Export",
        Call("states", "DescribeExecution", "read", "read_export", "read_export", "export"),
        refusals=_NO_EXPORT,
    ),
    Operation(
        "startRun",
        "post",
        "/runs",
        "Start a run of the workflow: catalogue, conform, curate",
        START,
        202,
        "RunStarted",
        Call("glue", "StartWorkflowRun", "start-runs", "start_run", "start_run", "run"),
        body="RunRequest",
        refusals={409: "A run goes on already; one runs at a time"},
    ),
    Operation(
        "listRuns",
        "get",
        "/runs",
        "Runs of the workflow",
        READ,
        200,
        "Runs",
        Call("glue", "GetWorkflowRuns", "read", "list_runs", "list_runs", "run"),
        query=(_NEXT,),
    ),
    Operation(
        "readRun",
        "get",
        "/runs/{id}",
        "How a run goes, or how it ended, job by job",
        READ,
        200,
        "Run",
        Call("glue", "GetWorkflowRun", "read", "read_run", "read_run", "run"),
        refusals=_NO_RUN,
    ),
    Operation(
        "listTables",
        "get",
        "/tables",
        "Tables: rows, when they were published, and whether newer rows failed their audit",
        READ,
        200,
        "Tables",
        Invoke("list_tables"),
    ),
    Operation(
        "listQuarantine",
        "get",
        "/quarantine",
        "What lies in quarantine, by source and reason: counts, never lines",
        READ,
        200,
        "Quarantine",
        Invoke("list_quarantine"),
    ),
    Operation(
        "admitAnalyst",
        "post",
        "/analysts",
        "Admit an analyst or an engineer: a number, a profile, a user and an invitation by e-mail",
        ADMIT,
        200,
        "Analyst",
        Call("states", "StartSyncExecution", "admit", "admit_analyst", "analyst", "analyst"),
        body="AnalystRequest",
    ),
    Operation(
        "disableAnalyst",
        "delete",
        "/analysts/{id}",
        "Disable an analyst: no new tokens, and none renewed",
        ADMIT,
        200,
        "Analyst",
        Call("states", "StartSyncExecution", "admit", "disable_analyst", "analyst", "analyst"),
        refusals={404: "There is no analyst of this number"},
    ),
)
