"""Curate over the real declarations: incremental, full and plain Python give the same tables."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from glue_jobs.curation import DATA_DOCS, job, publish
from glue_jobs.curation.declarations import CURATED
from glue_jobs.curation.job import TableFailed, curate
from glue_jobs.curation.publish import Outcome
from glue_jobs.curation.views import TypeUpdate, ViewUpdate
from glue_jobs.deid.twin import TWIN
from glue_jobs.lake.errors import AuditFailed
from glue_jobs.lake.quarantine import key_hash
from glue_jobs.lake.tables import current_snapshot, iceberg_table
from schemas.expectation import Expectation
from tests.conftest import LANDING_BUCKET, examples
from tests.spark.curate.expected import TABLES, set_aside
from tests.spark.curate.rounds import play_round
from tests.spark.curate.world import World, chosen, encounter, home, in_order, patient, reading

pytestmark = pytest.mark.spark

BACKWARDS = "pair_values_a_to_be_greater_than_b"
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
    assert world.quarantined("encounter") == sorted(
        (key_hash("Encounter", id_), BACKWARDS) for id_ in set_aside(world)
    )


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
def test_incremental_full_and_plain_python_agree(
    spark: SparkSession, landing_uri: str, tmp_path: Path, seed: int
) -> None:
    (tmp_path / "secret").write_text("the secret of the tests, which is long enough")
    world = World(spark, landing_uri, chosen(*TABLES), secret=tmp_path / "secret")
    random_ = random.Random(seed)
    for small in random_.sample((0, publish.SMALL), 2):
        play_round(world, random_)
        world.conform()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(publish, "SMALL", small)
            world.curate()
    assert_as_expected(world)
    incremental = {database: _tables(world, database) for database in (CURATED, TWIN)}
    world.curate(full=True)
    for database, tables in incremental.items():
        assert _tables(world, database) == tables
    assert_as_expected(world)


def _tables(world: World, database: str) -> dict[str, list[dict[str, Any]]]:
    return {name: world.table(name, database) for name in snapshots(world)}


def test_a_row_that_breaks_a_rule_of_its_own_waits_in_quarantine_until_it_is_corrected(
    spark: SparkSession, landing_uri: str
) -> None:
    world = World(spark, landing_uri, chosen("encounter", "encounter_site_activity"))
    good, wrong = ("e1", "p1", "2026-03-01T12:00:00Z"), ("e2", "p1", "2026-03-02T12:00:00Z")
    world.put(patient("p1"), encounter(*good), encounter(*wrong, "2026-03-02T11:59:59Z"))
    world.conform()
    run = world.run()
    outcomes = {each.table: each for each in curate(run, world.declarations)}
    assert (outcomes["encounter"].added, outcomes["encounter"].quarantined) == (1, 1)
    assert run.quarantined == {BACKWARDS: 1}
    assert [row["resource_key"] for row in world.table("encounter")] == ["e1"]
    assert [row["encounter_key"] for row in world.table("encounter_site_activity")] == ["e1"]
    assert world.quarantined("encounter") == [(key_hash("Encounter", "e2"), BACKWARDS)]

    # A published row may become wrong; one that is gone at its source is not missed any more.
    world.put(encounter(*good, "2026-02-01T12:00:00Z"))
    world.delete("Encounter", "e2")
    world.conform()
    world.curate()
    assert world.table("encounter") == world.table("encounter_site_activity") == []
    assert world.quarantined("encounter") == [(key_hash("Encounter", "e1"), BACKWARDS)]

    world.put(encounter(*good, "2026-03-01T12:00:00Z"))
    world.conform()
    world.curate()
    assert [row["resource_key"] for row in world.table("encounter")] == ["e1"]
    assert [row["encounter_key"] for row in world.table("encounter_site_activity")] == ["e1"]
    assert world.quarantined("encounter") == []


def test_a_rule_that_is_dropped_publishes_what_it_kept_back(spark: SparkSession, landing_uri: str) -> None:
    world = World(spark, landing_uri, chosen("encounter"))
    world.put(encounter("e1", "p1", "2026-03-02T12:00:00Z", "2026-03-01T12:00:00Z"))
    world.conform()
    world.curate()
    assert len(world.quarantined("encounter")) == 1
    suite = world.declarations.suites["encounter"]
    unruled = replace(
        suite, expectations=tuple(each for each in suite.expectations if each not in suite.row_rules)
    )
    world.declarations = replace(world.declarations, suites={"encounter": unruled})
    assert world.curate()["encounter"].added == 1
    assert world.quarantined("encounter") == []


def test_what_an_audit_refused_goes_once_its_declaration_is_taken_back(
    spark: SparkSession, landing_uri: str
) -> None:
    world = World(spark, landing_uri, chosen("encounter"))
    world.put(encounter("e1", "p1", "2026-03-01T12:00:00Z"))
    world.conform()
    world.curate()
    declared, view = world.declarations, world.declarations.views["encounter"]
    other = json.loads(json.dumps(view.definition).replace('"path": "status"', '"path": "status.first()"'))
    never = {"column": "status", "value_set": ["never"]}
    rule = Expectation("expect_column_values_to_be_in_set", never, "halt", "made to fail")
    suite = declared.suites["encounter"]
    world.declarations = replace(
        declared,
        views={"encounter": replace(view, definition=other)},
        suites={"encounter": replace(suite, expectations=(*suite.expectations, rule))},
    )
    with pytest.raises(AuditFailed, match="status"):
        world.curate()
    table = "lake.watershed_curated.encounter"
    assert len(list(iceberg_table(spark, table).refs())) == 2
    world.declarations = declared
    assert world.curate() == {}, "what is published is current"
    assert [str(each) for each in iceberg_table(spark, table).refs()] == ["main"]


def test_a_failed_audit_keeps_one_table_back_and_the_next_run_catches_up(
    spark: SparkSession, landing_uri: str, mirror: Path
) -> None:
    world = World(spark, landing_uri, chosen(*TABLES))
    docs = mirror / LANDING_BUCKET / DATA_DOCS
    world.put(patient("p1", gender="male"), encounter("e1", "p1", "2026-03-01T12:00:00Z"))
    world.conform()
    world.curate()
    world.put(patient("p1", gender="?"), patient("p2"), encounter("e2", "p2", "2026-03-02T12:00:00Z"))
    world.conform()
    world.docs_uri = landing_uri
    with pytest.raises(AuditFailed, match=r"patient \(branch audit_.*in_set\(gender\): 1 of 2 rows"):
        world.curate()
    states = dict(re.findall(r'<details id="(\w+)" class="(\w+)"', docs.read_text()))
    assert set(states) == {*world.declarations.views, *world.declarations.models}
    assert [name for name, state in states.items() if state == "failed"] == ["patient"]
    assert "1 of 2 rows do not (50 %)" in docs.read_text()
    assert [row["gender"] for row in world.table("patient")] == ["male"]
    assert len(world.table("encounter")) == 2
    behind = {each.dimension[1]: each.value for each in world.metrics if each.name == "Behind"}
    assert set(behind) == {*world.declarations.views, *world.declarations.models}
    assert behind["patient"] == 1
    assert behind["encounter"] == behind["patient_profile"] == 0
    world.put(patient("p1", gender="other"))
    world.conform()
    assert all(each.published for each in world.curate().values())
    assert_as_expected(world)
    assert 'class="failed"' not in docs.read_text()


def test_what_is_published_stands_when_what_views_share_fails_after_it(
    spark: SparkSession, landing_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(spark, landing_uri, chosen("patient", "patient_name"))
    world.put(patient("p1"))
    world.conform()
    really = TypeUpdate.views

    @contextmanager
    def views_of_which_the_second_fails(self: TypeUpdate) -> Iterator[Iterator[ViewUpdate]]:
        def first(views: list[ViewUpdate]) -> Iterator[ViewUpdate]:
            yield views[0]
            raise OSError

        with really(self) as views:
            yield first(views)

    monkeypatch.setattr(TypeUpdate, "views", views_of_which_the_second_fails)
    with pytest.raises(TableFailed) as failed:
        world.curate()
    assert len(failed.value.failures) == 1
    [published] = {"patient", "patient_name"} - set(failed.value.failures)
    assert len(world.table(published)) == 1
    monkeypatch.undo()
    assert set(world.curate()) == set(failed.value.failures)


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
