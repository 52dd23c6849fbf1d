"""docs/add-a-table.md, followed: its files in a copy of ``schemas/`` give the tables that it promises."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from glue_jobs.curation.declarations import load_declarations
from schemas import SCHEMAS_DIR, load_item_types
from schemas.deid_table import undeclared
from tests.spark.curate.world import World, patient

pytestmark = pytest.mark.spark

PAGE = SCHEMAS_DIR.parent / "docs" / "add-a-table.md"
_FILE = re.compile(r"^`(schemas/[^`]+)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
_LAYOUT = re.compile(r"^  curated\.appointment: .*$", re.M)
NEW = ("appointment", "appointment_outreach")


@pytest.fixture
def world(spark: SparkSession, landing_uri: str, tmp_path: Path) -> World:
    """A world of the page's declarations, and of those they need to be valid together."""
    shutil.copytree(SCHEMAS_DIR, tmp_path / "schemas")
    files = _FILE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(files) == 8
    for name, text in files:
        assert not (tmp_path / name).exists(), f"{name} would replace a file"
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in [*load_declarations().views, *load_declarations().models]:
        for file in (tmp_path / "schemas").glob(f"*/{name}.*"):
            if file.parent.name in ("views", "models", "expectations", "deid") and name not in (
                "patient",
                *NEW,
            ):
                file.unlink()
    [layout] = _LAYOUT.findall(PAGE.read_text(encoding="utf-8"))
    (tmp_path / "schemas" / "layouts.yaml").write_text(f"tables:\n{layout}\n", encoding="utf-8")
    types = load_item_types(tmp_path / "schemas" / "items")
    return World(
        spark,
        landing_uri,
        load_declarations(tmp_path / "schemas"),
        {each.sql_name: each for each in types.values()},
    )


def _call(day: int, *, reached: bool) -> dict[str, object]:
    at = datetime(2026, 3, day, 9, tzinfo=UTC)
    return {"id": "p1", "sk": f"CALL#{at.isoformat()}", "called_at": at, "reached": reached}


def test_the_page_works_when_followed(world: World) -> None:
    appointment = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-03-20T10:00:00Z",
        "participant": [
            {"actor": {"reference": "Location/l1"}, "status": "accepted"},
            {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
        ],
    }
    declared = world.declarations
    assert undeclared(declared.deid, (*declared.views.values(), *declared.models.values())) == []
    world.put(patient("p1"), appointment)
    world.put_item("care_call", **_call(1, reached=True))
    world.put_item("care_call", **_call(18, reached=False))
    world.conform()
    assert set(NEW) <= set(world.curate())
    [row] = world.table("appointment_outreach")
    assert (row["appointment_key"], row["patient_key"], row["status"]) == ("a1", "p1", "booked")
    assert (row["call_count"], row["reached_count"]) == (1, 0)

    world.put_item("care_call", **_call(19, reached=True))
    world.put({**appointment, "status": "fulfilled"})
    world.conform()
    assert set(world.curate()) == set(NEW)
    [row] = incremental = world.table("appointment_outreach")
    assert (row["status"], row["call_count"], row["reached_count"]) == ("fulfilled", 2, 1)
    world.curate(full=True)
    assert world.table("appointment_outreach") == incremental
