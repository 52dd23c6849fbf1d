"""Erasure against a real Spark and Iceberg: what was erased is in no byte of the lake, and stays out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from glue_jobs.conform.items import conform_items
from glue_jobs.curation.declarations import Declarations, load_declarations
from glue_jobs.curation.job import curate
from glue_jobs.deid.expressions import Rules
from glue_jobs.deid.twin import TWIN
from glue_jobs.erasure.job import Report, erase
from glue_jobs.erasure.subject import parse_subject
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import Run, job_run
from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex
from schemas.item_type import load_item_types
from tests.conftest import LAKE_BUCKET
from tests.spark.curate.expected_twin import Oracle
from tests.spark.file_contents import files_holding
from tests.spark.landed_exports import FhirLake, LandedExport, line
from tests.spark.landed_items import LANDED, stream_record
from tests.spark.test_conform_fhir import make_lake

pytestmark = pytest.mark.spark

SECRET = "the twin's secret, in the tests of erasure"
GONE, KEPT, NO_ITEM = "p-gone-4711", "p-kept-0815", "p-item-2342"
"""Erased as a resource, kept, and erased as an item of the registry alone."""
ITEM_TYPES = {name: each for name, each in load_item_types().items() if name in ("Patient", "SiteActivity")}


def declarations() -> Declarations:
    """Of all curated tables only one: the view of patients."""
    every = load_declarations()
    name = "patient"
    return Declarations(
        {name: every.views[name]}, {}, {name: every.suites[name]}, deid={name: every.deid[name]}
    )


def in_twin(lake: FhirLake, mirror: Path) -> list[str]:
    """Files of the de-identified twin that hold the key which the erased patient has there."""
    key = Oracle(SECRET.encode(), Rules("shift", 2026)).key(GONE)
    return files_holding(mirror / LAKE_BUCKET / lake.catalog / TWIN, key)


def observation(id_: str, patient: str, second: float, **more: Any) -> str:
    subject = {"reference": f"Patient/{patient}"}
    code = {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}
    return line("Observation", id_, 1, second, status="final", code=code, subject=subject, **more)


def land_items(lake: FhirLake, *patients: str, start: int = 100) -> None:
    records = []
    for number, patient in enumerate(patients, start=start):
        keys = {"id": {"S": patient}, "sk": {"S": "PATIENT"}}
        new = {"itemType": {"S": "Patient"}, "enrolmentStatus": {"S": "active"}}
        records.append(stream_record("watershed-registry", number, keys, new))
        site = {"siteId": {"S": "site-1"}, "createdAtTime": {"N": str(1_770_000_000_000 + number)}}
        reading = {"valueOne": {"N": "1.5"}, "patientId": {"S": patient}}
        records.append(stream_record("watershed-site-activity", 1000 + number, site, reading))
    for each in plan_batch(records, ItemTypeIndex(list(ITEM_TYPES.values())), LANDED).objects:
        path = lake.landing / each.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.body())


def run_job(lake: FhirLake, name: str, body: Any) -> Any:
    secret = lake.landing.parent / f"{lake.catalog}-secret"
    secret.write_text(SECRET)
    arguments = JobArguments(
        lake.landing_uri, catalog=lake.catalog, deid="shift", deid_secret=secret.as_uri()
    )
    with job_run(lake.spark, arguments, name) as run:
        return body(run)


def erase_subject(lake: FhirLake, *, resource: str | None = None, item: str | None = None) -> Report:
    def body(run: Run) -> Report:
        return erase(run, parse_subject(resource, item, ITEM_TYPES), ITEM_TYPES, declarations())

    report: Report = run_job(lake, "erase", body)
    return report


OBSERVATIONS = [observation("o-gone", GONE, 6), observation("o-kept", KEPT, 6)]
FIRST = {"Patient": [line("Patient", id_, 1, 5) for id_ in (GONE, KEPT)], "Observation": OBSERVATIONS}
DAMAGED = f'{{"resourceType":"Patient","id":"{GONE}","name":'


@dataclass(frozen=True)
class Story:
    """One lake and its two erasures, told once: each test looks at another part of it."""

    lake: FhirLake
    found: list[list[str]]
    after_resource: list[list[str]]
    state: set[str]
    of_resource: Report
    of_item: Report
    late: Run
    in_twin: tuple[list[str], list[str]]


@pytest.fixture(scope="module")
def story(spark: SparkSession, mirror: Path) -> Story:
    lake = make_lake(spark, mirror)
    folders = [lake.landing, mirror / LAKE_BUCKET / lake.catalog]
    land_items(lake, GONE, KEPT, NO_ITEM)
    run_job(lake, "conform_items", lambda run: conform_items(run, ITEM_TYPES.values()))
    of_item = erase_subject(lake, item=f"Patient/{NO_ITEM}/PATIENT")
    lake.land(LandedExport("e1", 100, FIRST, full=True))
    lake.land(LandedExport("e2", 200, {"Patient": [line("Patient", GONE, 2, 150), DAMAGED]}))
    lake.conform()
    run_job(lake, "curate", lambda run: curate(run, declarations()))
    found = [files_holding(folder, GONE) for folder in folders]
    twin_before = in_twin(lake, mirror)
    of_resource = erase_subject(lake, resource=f"Patient/{GONE}")
    after_resource = [files_holding(folder, GONE) for folder in folders]
    state, twin = set(lake.state()), (twin_before, in_twin(lake, mirror))
    # What was landed already is not read again; this lands late.
    late = {**FIRST, "Patient": [DAMAGED, *FIRST["Patient"]]}
    lake.land(LandedExport("e3", 90, late, deleted=(f"Patient/{GONE}",)))
    land_items(lake, GONE, NO_ITEM, start=200)
    run = lake.conform()
    run_job(lake, "conform_items", lambda run: conform_items(run, ITEM_TYPES.values()))
    return Story(lake, found, after_resource, state, of_resource, of_item, run, twin)


def test_an_erased_patient_is_in_no_byte_of_the_lake(story: Story) -> None:
    assert all(story.found), "the search finds what is there"
    assert story.after_resource == [[], []]
    assert story.state == {f"Patient/{KEPT}", "Observation/o-kept"}


def test_nor_is_the_key_that_the_patient_had_in_the_de_identified_twin(story: Story) -> None:
    before, after = story.in_twin
    assert before, "the search finds what is there"
    assert after == []
    rows = story.lake.spark.table(f"{story.lake.catalog}.{TWIN}.patient")
    assert rows.count() == 1, "the other patient stays"


def test_the_report_tells_what_was_removed_where_and_not_whose(story: Story) -> None:
    report = story.of_resource
    assert report.stays == {}
    assert {each["table"]: each["rows"] for each in report.tables if each["rows"]} == {
        "watershed_conformed.fhir_resource": 2,  # the patient, and the observation of them
        "watershed_conformed.patient": 1,
        "watershed_conformed.patient_history": 1,
        "watershed_conformed.site_activity": 1,  # its patientId references the Patient
        "watershed_conformed.site_activity_history": 1,
        "watershed_curated.patient": 1,
    }
    # Two lines of e1, two of e2 and the damaged one set aside, two changes.
    assert sum(report.objects.values()) == 7
    assert GONE not in json.dumps(report.to_dict())


def test_what_lands_late_does_not_bring_an_erased_patient_back(story: Story, mirror: Path) -> None:
    lake = story.lake
    assert story.late.inputs["exports"] == 1
    assert set(lake.state()) == {f"Patient/{KEPT}", "Observation/o-kept"}
    assert files_holding(mirror / LAKE_BUCKET / lake.catalog, GONE) == []
    assert files_holding(lake.landing / "quarantine", GONE) == []


def test_an_item_is_erased_by_its_key_and_others_stay(story: Story) -> None:
    table = f"{story.lake.catalog}.watershed_conformed"
    spark = story.lake.spark
    for name in ("patient", "patient_history"):
        assert [row.id for row in spark.table(f"{table}.{name}").collect()] == [KEPT]
    # Another item, which only refers to it, stays; and that is said.
    activities = spark.table(f"{table}.site_activity").where("patient_id is not null")
    assert {row.patient_id for row in activities.collect()} == {KEPT, NO_ITEM}
    assert story.of_item.stays.keys() > {f"{table}.site_activity"}
