"""What each model says of a small world, and that a change of any input reaches the rows it concerns."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from glue_jobs.curation import publish
from tests.conftest import LANDING_BUCKET, examples
from tests.spark.curate.clinical import (
    RXNORM,
    coded,
    condition,
    given,
    order,
    play_care,
    practitioner,
    pressure,
    reference,
    result,
    stay,
)
from tests.spark.curate.expected_models import MODELS
from tests.spark.curate.test_curate import assert_as_expected
from tests.spark.curate.world import World, chosen, patient, reading

pytestmark = pytest.mark.spark


def only(world: World, table: str, **where: Any) -> dict[str, Any]:
    """The one row of a table with these values."""
    rows = [row for row in world.table(table) if where.items() <= row.items()]
    assert len(rows) == 1, (table, where, len(rows))
    return rows[0]


@pytest.fixture(scope="module")
def world(spark: SparkSession) -> World:
    """A world of these models and the views they read, with one patient's care in it, curated.

    One for the tests of this file, which change it one after another: the care goes on.
    """
    world = World(spark, f"s3://{LANDING_BUCKET}/", chosen(*MODELS))
    world.put(
        patient("p1", birthDate="1960-03-10"),
        patient("p2"),
        practitioner("d1", "Who"),
        stay("e1", "2026-01-10T08:00:00Z", "2026-01-14T09:30:00Z"),
        stay("e2", "2026-02-01T10:00:00Z", "2026-02-03T10:00:00Z"),
        stay("e3", "2026-02-20T10:00:00Z", "2026-02-20T10:20:00Z", "AMB"),
        condition("c1", "44054006", recordedDate="2026-01-10", onsetDateTime="2019-05-01"),
        condition(
            "c2", "44054006", recordedDate="2026-02-01T10:00:00Z", encounter=reference("Encounter", "e2")
        ),
        condition("c3", "195967001", "resolved"),
        result("o1", "8867-4", 70, "2026-01-10T08:00:00Z"),
        result("o2", "8867-4", 80.5, "2026-01-11T08:00:00+02:00"),
        result("o3", "8867-4", 999, "2026-01-12T08:00:00Z", status="entered-in-error"),
        result("o4", "4548-4", 6.5, "2026-01-09"),
        pressure("o5", 120, 80, "2026-01-10T08:00:00Z"),
        order("m1", dosageInstruction=[{"text": "one a day"}]),
        order("m2", "stopped"),
        given("a1", "m1", "2026-02-01T12:00:00Z"),
        given("a2", "m1", "2026-02-02T12:00:00Z"),
        given("a3", "m1", "2026-02-03T12:00:00Z", "not-done"),
    )
    noon = datetime(2026, 1, 10, 12, tzinfo=UTC)
    for minutes, who, one in ((0, "p1", "1"), (1, "p1", "2"), (2, None, "6"), (3, "nobody", None)):
        world.put_item("site_activity", **reading(noon + timedelta(minutes=minutes), who, one))
    world.conform()
    world.curate()
    return world


def assert_full_agrees(world: World) -> None:
    incremental = {name: world.table(name) for name in MODELS}
    world.curate(full=True)
    for name in MODELS:
        assert world.table(name) == incremental[name], name


def test_what_the_models_say(world: World) -> None:
    problem = only(world, "active_problem_list")
    assert (problem["patient_key"], problem["code"], problem["condition_count"]) == ("p1", "44054006", 2)
    assert (problem["condition_key"], problem["encounter_key"]) == ("c2", "e2")
    assert (problem["first_onset_date"], problem["last_recorded_date"]) == (
        date(2019, 5, 1),
        date(2026, 2, 1),
    )

    medication = only(world, "current_medications")
    assert (medication["medication_use_key"], medication["medication_name"]) == (
        "MedicationRequest/m1",
        "Acetaminophen",
    )
    assert (medication["dosage_text"], medication["prescriber_name"]) == ("one a day", "Dr. Who")
    assert (medication["administration_count"], medication["dispense_count"]) == (2, 0)
    assert medication["last_administered_at"] == datetime(2026, 2, 2, 12, tzinfo=UTC)

    first = only(world, "encounter_timeline", encounter_key="e1")
    assert (first["sequence_number"], first["length_minutes"], first["age_at_start"]) == (1, 5850, 65)
    assert (first["observation_count"], first["medication_request_count"]) == (4, 2)
    assert (first["medication_administration_count"], first["is_readmission_30d"]) == (2, False)
    again = only(world, "encounter_timeline", encounter_key="e2")
    assert (again["previous_encounter_key"], again["days_since_previous"]) == ("e1", 22)
    assert (again["days_since_discharge"], again["is_readmission_30d"]) == (18, True)
    assert (again["condition_count"], again["practitioner_name"]) == (1, "Dr. Who")
    visit = only(world, "encounter_timeline", encounter_key="e3")
    assert (visit["days_since_discharge"], visit["is_readmission_30d"]) == (17, False)

    latest = only(world, "latest_vitals_and_labs", patient_key="p1")
    assert (latest["heart_rate"], latest["heart_rate_unit"]) == (Decimal("80.5"), "u")
    assert latest["heart_rate_at"] == latest["last_measured_at"] == datetime(2026, 1, 11, 6, tzinfo=UTC)
    assert (latest["hemoglobin_a1c"], latest["systolic_pressure"], latest["diastolic_pressure"]) == (
        Decimal("6.5"),
        120,
        80,
    )
    assert only(world, "latest_vitals_and_labs", patient_key="p2")["last_measured_at"] is None

    day = only(world, "site_activity_daily")
    assert (day["site_id"], day["activity_date"]) == ("s1", date(2026, 1, 10))
    assert (day["reading_count"], day["unlinked_reading_count"]) == (4, 1)
    assert (day["patient_count"], day["known_patient_count"]) == (2, 1)
    assert day["value_one_average"] == 3
    assert (day["encounter_count"], day["inpatient_encounter_count"], day["observation_count"]) == (1, 1, 2)


def test_a_type_without_resources_costs_no_commit_and_its_first_resource_reaches_the_models(
    world: World,
) -> None:
    statement = "medication_statement"
    assert world.table(statement) == []
    assert statement not in world.curate(full=True)
    world.put(
        {
            "resourceType": "MedicationStatement",
            "id": "t1",
            "status": "active",
            "subject": reference("Patient", "p2"),
            "medicationReference": reference("Medication", "x1"),
            "effectivePeriod": {"start": "2026-01-01"},
        },
        {"resourceType": "Medication", "id": "x1", "code": coded(RXNORM, "161", "Acetaminophen")},
    )
    world.conform()
    assert set(world.curate()) == {statement, "medication", "current_medications"}
    stated = only(world, "current_medications", source="statement")
    assert (stated["medication_name"], stated["since_date"]) == ("Acetaminophen", date(2026, 1, 1))
    assert (stated["administration_count"], stated["patient_id"]) == (0, "p2")
    world.delete("MedicationStatement", "t1")
    world.conform()
    world.curate()
    assert world.table(statement) == []


@pytest.mark.parametrize(
    "when",
    [
        {"effectiveInstant": "2026-04-01T08:00:00Z"},
        {"effectivePeriod": {"start": "2026-04-01T08:00:00Z"}},
        {"issued": "2026-04-01T08:00:00Z"},
    ],
    ids=["instant", "period", "issued"],
)
def test_components_have_the_times_of_their_observation(world: World, when: dict[str, Any]) -> None:
    observation = pressure("o9", 111, 71, at="")
    del observation["effectiveDateTime"]
    world.put({**observation, **when})
    world.conform()
    world.curate()
    latest = only(world, "latest_vitals_and_labs", patient_key="p1")
    measured = (latest["diastolic_pressure"], latest["diastolic_pressure_at"])
    assert measured == (71, datetime(2026, 4, 1, 8, tzinfo=UTC))
    world.delete("Observation", "o9")
    world.conform()
    world.curate()


def test_changes_of_any_input_reach_the_rows_they_concern(world: World) -> None:
    # A later name, value and dose; a resolved problem; an earlier stay between two; a reading moved away.
    world.put(
        practitioner("d1", "Strange"),
        condition("c2", "44054006", "resolved"),
        condition("c4", "38341003", of="p2"),
        pressure("o5", 140, 90, "2026-01-10T08:00:00Z"),
        result("o6", "8867-4", 60, "2026-03-01T08:00:00Z"),
        given("a4", "m1", "2026-02-09T12:00:00Z"),
        order("m2", "active"),
        stay("e4", "2026-01-20T08:00:00Z", "2026-01-25T08:00:00Z"),
    )
    world.delete("Observation", "o4")
    world.delete("Encounter", "e3")
    world.delete_item("site_activity", "s1", datetime(2026, 1, 10, 12, tzinfo=UTC))
    world.conform()
    assert set(MODELS) <= set(world.curate())

    assert only(world, "active_problem_list", code="44054006")["condition_key"] == "c1"
    assert only(world, "active_problem_list", code="38341003")["patient_id"] == "p2"
    assert only(world, "current_medications", source_key="m1")["administration_count"] == 3
    assert only(world, "current_medications", source_key="m2")["prescriber_name"] == "Dr. Strange"
    latest = only(world, "latest_vitals_and_labs", patient_key="p1")
    assert (latest["heart_rate"], latest["systolic_pressure"], latest["hemoglobin_a1c"]) == (60, 140, None)
    timeline = {row["encounter_key"]: row for row in world.table("encounter_timeline")}
    assert {key: row["sequence_number"] for key, row in timeline.items()} == {"e1": 1, "e4": 2, "e2": 3}
    assert (timeline["e2"]["days_since_discharge"], timeline["e2"]["practitioner_name"]) == (7, "Dr. Strange")
    assert only(world, "site_activity_daily")["reading_count"] == 3

    world.delete("Patient", "p1")
    world.delete("Practitioner", "d1")
    world.delete("MedicationRequest", "m1")
    world.put(order("m2", "completed"), patient("p2", birthDate="2000-01-01"))
    for minute in (1, 2, 3):
        world.delete_item("site_activity", "s1", datetime(2026, 1, 10, 12, minute, tzinfo=UTC))
    world.conform()
    world.curate()
    assert world.table("current_medications") == world.table("site_activity_daily") == []
    assert [row["patient_key"] for row in world.table("latest_vitals_and_labs")] == ["p2"]
    assert only(world, "encounter_timeline", encounter_key="e4")["patient_id"] is None
    assert_full_agrees(world)


@settings(max_examples=examples(1), deadline=None, suppress_health_check=list(HealthCheck))
@hypothesis.given(seed=st.integers(0, 2**32))
def test_incremental_full_and_plain_python_agree(spark: SparkSession, landing_uri: str, seed: int) -> None:
    world, random_ = World(spark, landing_uri, chosen(*MODELS)), random.Random(seed)
    for small in random_.sample((0, publish.SMALL), 2):
        play_care(world, random_)
        world.conform()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(publish, "SMALL", small)
            world.curate()
    assert_as_expected(world, MODELS)
    assert_full_agrees(world)
