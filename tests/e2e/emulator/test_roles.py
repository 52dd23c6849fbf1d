"""What each role of the stack reaches on an emulator that enforces it, and that it reaches nothing else.

That each function can do its work is shown by the tests that make it work, on emulators that enforce roles too:
the exports and the control plane here, the deliveries of items and the change feeds in modules of their own. The
twin's secret is left to the template's test: the emulator's CloudFormation refers to a secret by its name, AWS by ARN.
"""

from __future__ import annotations

import pytest

from tests.e2e.emulator.conftest import Deployed
from tests.e2e.emulator.reach import LANDING_ZONES, Reach

pytestmark = pytest.mark.e2e

_LANDING = {f"get landing/{zone}" for zone in LANDING_ZONES}
_LAKE = [f"lake/warehouse/watershed_{zone}" for zone in ("conformed", "curated", "curated_deid", "ops")]
_JOBS = {
    *_LANDING,
    *(f"{verb} {place}" for verb in ("get", "put", "delete") for place in (*_LAKE, "docs")),
    *(f"list {zone} tables" for zone in ("conformed", "curated", "curated_deid", "ops")),
    "list landing/quarantine",
    "put landing/quarantine/source=items",
    "put landing/quarantine/source=fhir_changes",
}
_ANALYSTS = {
    "get lake/warehouse/watershed_curated",
    "list curated tables",
    "get results/watershed",
    "put results/watershed",
}

REACH: dict[str, set[str]] = {
    # --- functions
    "land-item-changes": {
        "put landing/items",
        "put landing/quarantine/source=items",
        "put failures/aws/lambda",  # where Lambda parks what it could not land, in the function's name
    },
    "start-export": {
        "get export-state", "put export-state", "update export-state",
        "see export-start", "consume export-start", "send export-start", "send export-poll",
        "answer tasks",
    },
    "poll-export": {
        "get export-state", "update export-state",
        "see export-poll", "consume export-poll", "send export-poll",
        "put exports/manifests", "answer tasks",
    },
    # A copy that is not there yet is told from one that may not be read by a right to list, which is of the whole bucket.
    "land-export": {
        "list landing/quarantine",
        "get exports/exports", "get exports/manifests", "get landing/fhir", "put landing/fhir",
    },
    "publish-resources": {"get landing/fhir", "put events watershed-resources"},
    # Names of tables, the twin's too, and what they say of themselves: no rows.
    "list-tables": {"list conformed tables", "list curated tables", "list curated_deid tables"},
    "list-quarantine": {"list landing/quarantine"},
    "shape-token": {"get analysts"},
    "keep-roster": {"put connections", "delete connections"},
    "socket-publish": {
        "scan connections", "delete connections",
        "see live-outcomes", "consume live-outcomes",
    },
    # --- state machines
    "export": {
        "get export-state", "put export-state", "update export-state",
        "send export-start", "get exports/manifests", "invoke", "start exports", "put events default",
    },
    "admit-analyst": {"get analysts", "put analysts", "update analysts", "delete analysts", "delete users"},
    "disable-analyst": {"update analysts"},
    # --- Glue
    "crawl": {*_LANDING, "list landing/quarantine", "list landing tables"},
    "jobs": _JOBS,
    "erase-job": {
        *_JOBS,
        *(
            f"{verb} landing/{zone}"
            for verb in ("put", "delete")
            for zone in ("items", "fhir", "fhir_changes", "quarantine/source=items", "quarantine/source=fhir_changes", "replayed")
        ),
    },
    # --- the API, the schedule, HealthLake
    "api-admit": set(),
    "api-logging": set(),
    "api-read": set(),
    "api-start-exports": {"start exports"},
    "api-start-runs": set(),
    "export-schedule": {"start exports"},
    "healthlake-export": {"put exports/exports"},
    # --- people
    "analysts": _ANALYSTS,
    "researchers": {
        "get lake/warehouse/watershed_curated_deid",
        "list curated_deid tables",
        "get results/watershed-research",
        "put results/watershed-research",
    },
    "engineers": {
        *_ANALYSTS,
        *_LANDING,
        *(f"get {place}" for place in (*_LAKE, "docs", "failures/aws/lambda")),
        *(f"get exports/{folder}" for folder in ("exports", "manifests", "AWSDynamoDB")),
        *(f"list {zone} tables" for zone in ("landing", "conformed", "curated", "curated_deid", "ops")),
        "list landing/quarantine",
        "start jobs", "start exports",
    },
}  # fmt: skip


def test_each_role_reaches_what_its_work_needs_and_nothing_else(deployed: Deployed) -> None:
    prefix = f"{deployed.settings.prefix}-"
    listed = deployed.emulator.client("iam").list_roles()["Roles"]
    roles = sorted(
        each["RoleName"].removeprefix(prefix) for each in listed if each["RoleName"].startswith(prefix)
    )
    assert roles == sorted(REACH)
    reach = Reach(deployed.emulator, deployed.settings)
    reached = {role: reach.of(role) for role in roles}
    more = {role: sorted(found - REACH[role]) for role, found in reached.items() if found - REACH[role]}
    less = {role: sorted(REACH[role] - found) for role, found in reached.items() if REACH[role] - found}
    assert (more, less) == ({}, {})
