"""conform_fhir over what the change feeds land, written by their own code, beside exports."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.erased import FHIR, remember
from glue_jobs.lake.run import job_run
from lambdas.find_fhir_changes.listing import Listing, identities
from lambdas.shared.fhir_change import FhirChange, change_objects, deletion, resource_change
from tests.spark.landed_exports import FhirLake, LandedExport, instant, line, moment
from tests.spark.test_conform_fhir import make_lake

pytestmark = pytest.mark.spark


@pytest.fixture
def lake(spark: SparkSession, mirror: Path) -> FhirLake:
    return make_lake(spark, mirror)


def version(id_: str, number: int, second: float, **more: object) -> FhirChange:
    return resource_change(json.loads(line("Patient", id_, number, second, **more)), moment(0))


def gone(id_: str, second: float) -> FhirChange:
    return deletion("Patient", id_, moment(second))


def land(lake: FhirLake, *changes: FhirChange) -> list[Path]:
    """Land changes as the functions do; where they lie."""
    written = []
    for each in change_objects(changes):
        path = lake.landing / each.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.body())
        written.append(path)
    return written


def land_listing(lake: FhirLake, second: float, *ids: str) -> None:
    """Land the list of the patients that exist."""
    found = identities({"resourceType": "Patient", "id": id_} for id_ in ids)
    listing = Listing("Patient", moment(second), tuple(found.values()))
    for key, body in ((listing.key, listing.body()), (listing.manifest_key, listing.manifest().encode())):
        path = lake.landing / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def exported(*lines: str) -> dict[str, list[str]]:
    return {"Patient": list(lines)}


def test_a_change_comes_between_exports_and_an_overlapping_export_changes_nothing(lake: FhirLake) -> None:
    lake.land(LandedExport("e1", 100, exported(line("Patient", "a", 1, 5))))
    lake.conform()
    land(lake, version("a", 2, 150), version("b", 1, 160))
    changed = lake.conform()
    rows = lake.rows()
    assert changed.inputs["changes"] == 1
    assert {(row["source"], row["export_id"]) for row in rows.values()} == {("change", None)}
    assert (rows["Patient/a"]["version_id"], rows["Patient/a"]["changed_at"]) == ("2", "2026-03-01 00:02:30")
    lake.land(LandedExport("e2", 200, exported(line("Patient", "a", 2, 150), line("Patient", "b", 1, 160))))
    assert lake.conform().written.get("watershed_conformed.fhir_resource", 0) == 0
    assert lake.rows() == rows
    assert lake.conform().inputs["changes"] == 0


def test_a_deletion_that_a_feed_told_of_keeps_when_and_how(lake: FhirLake) -> None:
    lake.land(LandedExport("e1", 100, exported(line("Patient", "a", 1, 5), line("Patient", "b", 1, 5))))
    land(lake, gone("a", 150.25), gone("b", 120), version("b", 3, 130))
    lake.conform()
    rows = lake.rows()
    assert rows["Patient/a"]["is_deleted"]
    assert rows["Patient/a"]["resource"] is None
    assert (rows["Patient/a"]["source"], rows["Patient/a"]["changed_at"]) == (
        "change_delete",
        "2026-03-01 00:02:30.25",
    )
    assert not rows["Patient/b"]["is_deleted"]  # made again after its deletion


def test_a_listing_marks_what_it_lacks_and_spares_what_is_younger(lake: FhirLake) -> None:
    lake.land(LandedExport("e1", 100, exported(*(line("Patient", id_, 1, 5) for id_ in "abc"))))
    lake.conform()
    land(lake, version("young", 1, 310))
    land_listing(lake, 300, "a", "c")
    lake.conform()
    rows = lake.rows()
    assert {key for key, row in rows.items() if row["is_deleted"]} == {"Patient/b"}
    gone_row = rows["Patient/b"]
    assert (gone_row["source"], gone_row["changed_at"]) == ("change_absent", "2026-03-01 00:05:00")
    assert gone_row["export_id"].startswith("listing-patient-")
    assert json.loads(rows["Patient/a"]["resource"]) == json.loads(line("Patient", "a", 1, 5))


def test_a_full_export_gives_back_what_a_listing_lacked_wrongly(lake: FhirLake) -> None:
    """HealthLake's index was late, so that the search behind the listing left out a patient that lives."""
    both = exported(line("Patient", "a", 1, 5), line("Patient", "late", 1, 5))
    lake.land(LandedExport("e1", 100, both))
    land_listing(lake, 300, "a")
    lake.conform()
    assert lake.state()["Patient/late"] is None
    lake.land(LandedExport("e2", 310, both))
    lake.conform()
    assert lake.state()["Patient/late"] is None  # an incremental export's overlap proves nothing
    lake.land(LandedExport("e3", 400, both, full=True))
    lake.conform()
    assert lake.state()["Patient/late"] == line("Patient", "late", 1, 5)
    assert lake.conform().written == {}


def test_who_was_erased_does_not_come_back_by_a_change(lake: FhirLake) -> None:
    with job_run(lake.spark, JobArguments(lake.landing_uri, catalog=lake.catalog), "erase") as run:
        remember(run, FHIR, "Patient", "gone")
    refers = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/gone"}}
    land(
        lake,
        version("gone", 2, 150),
        version("kept", 1, 150),
        resource_change({**refers, "meta": {"lastUpdated": instant(150)}}, moment(0)),
        gone("gone", 160),
    )
    run = lake.conform()
    assert set(lake.rows()) == {"Patient/kept"}
    assert run.quarantined == {}


def test_of_a_types_listings_only_the_latest_is_remembered(lake: FhirLake) -> None:
    for second in (300, 400, 500):
        land_listing(lake, second, "a")
        lake.conform()
    remembered = lake.spark.table(f"{lake.catalog}.watershed_ops.fhir_full_export").collect()
    assert [row.export_id for row in remembered] == [Listing("Patient", moment(500), ()).id]


def test_a_line_that_is_no_resource_goes_to_quarantine_of_changes(lake: FhirLake) -> None:
    (path,) = land(lake, version("a", 1, 5))
    bad = path.with_name("1-1-bad.ndjson")
    bad.write_text(line("Patient", "b", 1, 6) + "\n{half\n")
    run = lake.conform()
    assert set(lake.rows()) == {"Patient/a", "Patient/b"}
    assert run.quarantined == {"not_json": 1}
    table = lake.spark.table(f"{lake.catalog}.watershed_ops.quarantine")
    assert [(row.source, row.line) for row in table.collect()] == [("fhir_changes", 2)]
    assert list((lake.landing / "quarantine/source=fhir_changes/reason=not_json").rglob("*.ndjson.gz"))


def test_a_change_without_a_time_counts_as_of_the_hour_it_lies_in(lake: FhirLake) -> None:
    nameless = resource_change({"resourceType": "Patient", "id": "a"}, moment(3700))
    land(lake, nameless)
    lake.conform()
    assert lake.rows()["Patient/a"]["changed_at"] == "2026-03-01 01:00:00"


def _arrivals(lake: FhirLake) -> list[Callable[[], object]]:
    """One story, as steps that may happen in any order: a is updated, b deleted and made again, c deleted,
    d deleted unheard of until a listing, e known to a full export alone."""
    return [
        lambda: lake.land(LandedExport("e1", 100, exported(*(line("Patient", id_, 1, 5) for id_ in "abcd")))),
        lambda: land(lake, version("a", 2, 150)),
        lambda: land(lake, version("a", 2, 150), gone("b", 160), version("b", 3, 170)),
        lambda: land(lake, gone("c", 180)),
        lambda: land_listing(lake, 250, "a", "b"),
        lambda: lake.land(
            LandedExport(
                "e2",
                300,
                exported(
                    line("Patient", "a", 2, 150), line("Patient", "b", 3, 170), line("Patient", "e", 1, 280)
                ),
                full=True,
            )
        ),
        lambda: lake.land(LandedExport("e3", 320, exported(line("Patient", "a", 2, 150)))),
    ]


def test_any_order_of_exports_changes_and_listings_gives_the_same_table(
    spark: SparkSession, mirror: Path
) -> None:
    seen = []
    for seed, in_one_run in ((1, False), (2, True)):
        lake = make_lake(spark, mirror)
        steps = _arrivals(lake)
        random.Random(seed).shuffle(steps)
        for number, step in enumerate(steps):
            step()
            if not in_one_run and number in (1, 4):
                lake.conform()
        lake.conform()
        seen.append(lake.state())
    versions = {key: text and json.loads(text)["meta"]["versionId"] for key, text in seen[0].items()}
    assert versions == {
        "Patient/a": "2",
        "Patient/b": "3",
        "Patient/c": None,
        "Patient/d": None,
        "Patient/e": "1",
    }
    for other in seen[1:]:
        assert {key: text and json.loads(text) for key, text in other.items()} == {
            key: text and json.loads(text) for key, text in seen[0].items()
        }
