"""Curate over the real declarations: incremental, full and plain Python give the same tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from glue_jobs.curation import job, publish
from glue_jobs.curation.publish import Outcome
from glue_jobs.lake.errors import AuditFailed
from glue_jobs.lake.tables import current_snapshot, iceberg_table
from tests.conftest import examples
from tests.spark.curate.expected import TABLES
from tests.spark.curate.rounds import play_round
from tests.spark.curate.world import World, chosen, encounter, home, in_order, patient, reading

pytestmark = pytest.mark.spark

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def assert_as_expected(
    world: World, tables: Mapping[str, Callable[[World], list[dict[str, Any]]]] = TABLES
) -> None:
    for name, expected in tables.items():
        rows = expected(world)
        columns = list(rows[0]) if rows else []
        held = world.table(name)
        assert len(held) == len(rows), name
        assert in_order({key: row[key] for key in columns} for row in held) == in_order(rows), name


def snapshots(world: World) -> dict[str, int | None]:
    tables = [*world.declarations.views, *world.declarations.models]
    return {
        name: current_snapshot(iceberg_table(world.spark, f"lake.watershed_curated.{name}"))
        for name in tables
    }


def test_a_change_reaches_the_tables_it_concerns_and_no_other(spark: SparkSession, landing_uri: str) -> None:
    world = World(spark, landing_uri, chosen(*TABLES))
    world.put(patient("p1", gender="male"), patient("p2"), encounter("e1", "p1", "2026-03-01T12:00:00Z"))
    world.put_item("address", **home("p1", 1))
    world.put_item("site_activity", **reading(NOON + timedelta(hours=2), "p1"))
    world.conform()
    first = world.curate()
    assert all(each.published for each in first.values())
    assert set(first) == {*world.declarations.views, *world.declarations.models}
    assert_as_expected(world)

    assert world.curate() == {}

    world.put_item("site_activity", **reading(NOON + timedelta(hours=3), "p1", one="4"))
    world.conform()
    before = snapshots(world)
    second = world.curate()
    assert set(second) == {"patient_profile", "encounter_site_activity"}
    assert (second["patient_profile"].added, second["patient_profile"].removed) == (1, 1)
    assert_as_expected(world)
    assert {name for name, each in snapshots(world).items() if each != before[name]} == set(second)

    world.delete("Patient", "p1")
    world.put(encounter("e1", "p2", "2026-03-01"))
    world.conform()
    assert set(world.curate()) == {"patient", "encounter", "patient_profile", "encounter_site_activity"}
    assert_as_expected(world)
    assert [row["resource_key"] for row in world.table("patient")] == ["p2"]

    world.put_item("site_activity", **reading(NOON, None))
    world.conform()
    unlinked = world.curate()
    assert {name: (each.added, each.removed) for name, each in unlinked.items()} == {
        "patient_profile": (0, 0),
        "encounter_site_activity": (0, 0),
    }
    assert world.curate() == {}


@settings(max_examples=examples(1), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_incremental_full_and_plain_python_agree(spark: SparkSession, landing_uri: str, seed: int) -> None:
    world, random_ = World(spark, landing_uri, chosen(*TABLES)), random.Random(seed)
    for _ in range(2):
        play_round(world, random_)
        world.conform()
        world.curate()
    assert_as_expected(world)
    incremental = {name: world.table(name) for name in snapshots(world)}
    world.curate(full=True)
    assert {name: world.table(name) for name in snapshots(world)} == incremental


def test_a_failed_audit_keeps_one_table_back_and_the_next_run_catches_up(
    spark: SparkSession, landing_uri: str
) -> None:
    world = World(spark, landing_uri, chosen(*TABLES))
    world.put(patient("p1", gender="male"), encounter("e1", "p1", "2026-03-01T12:00:00Z"))
    world.conform()
    world.curate()
    world.put(patient("p1", gender="?"), patient("p2"), encounter("e2", "p2", "2026-03-02T12:00:00Z"))
    world.conform()
    with pytest.raises(AuditFailed, match=r"patient \(branch audit_.*in_set\(gender\): 1 of 2 rows"):
        world.curate()
    assert [row["gender"] for row in world.table("patient")] == ["male"]
    assert len(world.table("encounter")) == 2
    behind = {each.dimension[1]: each.value for each in world.metrics if each.name == "Behind"}
    assert set(behind) == {*world.declarations.views, *world.declarations.models}
    assert behind["patient"] == 1
    assert behind["encounter"] == 0
    world.put(patient("p1", gender="other"))
    world.conform()
    assert all(each.published for each in world.curate().values())
    assert_as_expected(world)


class Stopped(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize(("moment", "table"), [("before", "encounter"), ("after", "patient_profile")])
def test_a_run_that_stops_beside_any_table_is_completed_by_the_next(
    spark: SparkSession, landing_uri: str, monkeypatch: pytest.MonkeyPatch, table: str, moment: str
) -> None:
    world, random_ = World(spark, landing_uri, chosen(*TABLES)), random.Random(7)
    play_round(world, random_, 40)
    world.conform()
    world.curate()
    play_round(world, random_, 40)
    world.conform()
    really = publish.publish

    def publish_or_stop(run: Any, full_name: str, *rest: Any) -> Outcome:
        mine = full_name.endswith(f".{table}")
        if mine and moment == "before":
            raise Stopped
        outcome = really(run, full_name, *rest)
        if mine:
            raise Stopped
        return outcome

    monkeypatch.setattr(job, "publish", publish_or_stop)
    with pytest.raises(Stopped):
        world.curate()
    monkeypatch.undo()
    world.curate()
    assert_as_expected(world)
