"""Erasure against a real Spark and Iceberg: what was erased is in no byte of the lake, and stays out."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from pyspark.sql import SparkSession

from glue_jobs.conform.items import conform_items
from glue_jobs.curation.declarations import Declarations, load_declarations
from glue_jobs.curation.job import curate
from glue_jobs.erasure.job import Report, erase
from glue_jobs.erasure.subject import parse_subject
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import Run, job_run
from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex
from schemas.item_type import load_item_types
from tests.conftest import LAKE_BUCKET
from tests.spark.landed_exports import FhirLake, LandedExport, line
from tests.spark.landed_items import LANDED, stream_record
from tests.spark.test_conform_fhir import make_lake

pytestmark = pytest.mark.spark

GONE, KEPT = "p-gone-4711", "p-kept-0815"
ITEM_TYPES = {name: each for name, each in load_item_types().items() if name in ("Patient", "SiteActivity")}


def declarations() -> Declarations:
    """Of all curated tables only one: the view of patients."""
    every = load_declarations()
    return Declarations({"patient": every.views["patient"]}, {}, {"patient": every.suites["patient"]})


@pytest.fixture
def lake(spark: SparkSession, mirror: Path) -> FhirLake:
    return make_lake(spark, mirror)


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
    with job_run(lake.spark, JobArguments(lake.landing_uri, catalog=lake.catalog), name) as run:
        return body(run)


def erase_subject(lake: FhirLake, *, resource: str | None = None, item: str | None = None) -> Report:
    def body(run: Run) -> Report:
        return erase(run, parse_subject(resource, item, ITEM_TYPES), ITEM_TYPES, declarations())

    report: Report = run_job(lake, "erase", body)
    return report


def files_holding(folder: Path, text: str) -> list[str]:
    """Files in which a text occurs, in their bytes or in what these are when decompressed."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in paths if text.encode() in _content(path))


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        return raw + gzip.decompress(raw)
    if path.suffix == ".parquet":
        file = parquet.ParquetFile(io.BytesIO(raw))
        return raw + repr((file.read().to_pydict(), file.metadata.to_dict())).encode()
    if path.suffix == ".avro":
        return raw + _avro_blocks(raw)
    return raw


def _avro_blocks(raw: bytes) -> bytes:
    """The blocks of an Avro file of Iceberg's, inflated: manifests hold the bounds of columns.

    After the header and after each block stand the 16 bytes that end the file; a block begins with two
    numbers of unknown length, so its stream is looked for.
    """
    plain = b""
    for block in raw.split(raw[-16:])[1:]:
        for start, window in itertools.product(range(min(12, len(block))), (-15, 15, 31)):
            with contextlib.suppress(zlib.error):
                plain += zlib.decompressobj(wbits=window).decompress(block[start:])
                break
    return plain


def everything(lake: FhirLake, mirror: Path) -> list[Path]:
    return [lake.landing, mirror / LAKE_BUCKET / lake.catalog]


def test_a_patient_is_in_no_byte_of_the_lake_and_does_not_come_back(lake: FhirLake, mirror: Path) -> None:
    observations = [observation("o-gone", GONE, 6), observation("o-kept", KEPT, 6)]
    first = {"Patient": [line("Patient", id_, 1, 5) for id_ in (GONE, KEPT)], "Observation": observations}
    damaged = f'{{"resourceType":"Patient","id":"{GONE}","name":'
    lake.land(LandedExport("e1", 100, first, full=True))
    lake.land(LandedExport("e2", 200, {"Patient": [line("Patient", GONE, 2, 150), damaged]}))
    lake.conform()
    land_items(lake, GONE, KEPT)
    run_job(lake, "conform_items", lambda run: conform_items(run, ITEM_TYPES.values()))
    run_job(lake, "curate", lambda run: curate(run, declarations()))
    for folder in everything(lake, mirror):
        assert files_holding(folder, GONE), "the search finds what is there"

    report = erase_subject(lake, resource=f"Patient/{GONE}")

    for folder in everything(lake, mirror):
        assert files_holding(folder, GONE) == []
    assert report.stays == {}
    rows = {each["table"]: each["rows"] for each in report.tables if each["rows"]}
    assert rows == {
        "watershed_conformed.fhir_resource": 2,  # the patient, and the observation of them
        "watershed_conformed.patient": 1,
        "watershed_conformed.patient_history": 1,
        "watershed_conformed.site_activity": 1,  # its patientId references the Patient
        "watershed_conformed.site_activity_history": 1,
        "watershed_curated.patient": 1,
    }
    assert (
        sum(report.objects.values()) == 7
    )  # two lines of e1, two of e2 and the damaged one set aside, two changes
    assert GONE not in json.dumps(report.to_dict())
    assert set(lake.state()) == {f"Patient/{KEPT}", "Observation/o-kept"}

    # What was landed already is not read again, and what lands late brings nothing back.
    late = {**first, "Patient": [damaged, *first["Patient"]]}
    lake.land(LandedExport("e3", 90, late, deleted=(f"Patient/{GONE}",)))
    assert lake.conform().inputs["exports"] == 1
    land_items(lake, GONE, start=200)
    run_job(lake, "conform_items", lambda run: conform_items(run, ITEM_TYPES.values()))
    assert set(lake.state()) == {f"Patient/{KEPT}", "Observation/o-kept"}
    assert files_holding(mirror / LAKE_BUCKET / lake.catalog, GONE) == []
    assert files_holding(lake.landing / "quarantine", GONE) == []


def test_an_item_is_erased_by_its_key_and_others_stay(lake: FhirLake, mirror: Path) -> None:
    land_items(lake, GONE, KEPT)
    run_job(lake, "conform_items", lambda run: conform_items(run, ITEM_TYPES.values()))
    report = erase_subject(lake, item=f"Patient/{GONE}/PATIENT")
    table = f"{lake.catalog}.watershed_conformed"
    assert [row.id for row in lake.spark.table(f"{table}.patient_history").collect()] == [KEPT]
    assert lake.spark.table(f"{table}.site_activity").count() == 2  # another item, which only refers to it
    assert report.stays.keys() > {f"{table}.site_activity"}  # and that is said
    land_items(lake, GONE, start=300)
    run_job(lake, "conform_items", lambda run: conform_items(run, ITEM_TYPES.values()))
    assert [row.id for row in lake.spark.table(f"{table}.patient").collect()] == [KEPT]
