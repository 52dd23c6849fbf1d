"""conform_fhir against a real Spark and Iceberg."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from glue_jobs.conform import fhir
from glue_jobs.conform.export_manifests import ManifestError
from tests.conftest import LAKE_BUCKET, LANDING_BUCKET, examples
from tests.spark.landed_exports import FhirLake, LandedExport, expected_state, line

pytestmark = pytest.mark.spark
_numbers = itertools.count()


def make_lake(spark: SparkSession, mirror: Path) -> FhirLake:
    """A lake of its own: a catalog and a landing folder that nobody else uses."""
    name = f"fhir{next(_numbers)}"
    spark.conf.set(f"spark.sql.catalog.{name}", "org.apache.iceberg.spark.SparkCatalog")
    spark.conf.set(f"spark.sql.catalog.{name}.type", "hadoop")
    spark.conf.set(f"spark.sql.catalog.{name}.warehouse", f"s3://{LAKE_BUCKET}/{name}")
    return FhirLake(spark, mirror / LANDING_BUCKET / name, f"s3://{LANDING_BUCKET}/{name}/", name)


@pytest.fixture
def lake(spark: SparkSession, mirror: Path) -> FhirLake:
    return make_lake(spark, mirror)


def patients(*lines: str) -> dict[str, list[str]]:
    return {"Patient": list(lines)}


def gone_from(lake: FhirLake) -> set[str]:
    return {key for key, text in lake.state().items() if text is None}


def test_resources_arrive_as_received_in_one_commit(lake: FhirLake) -> None:
    stamp = "2026-03-01T05:45:00.123456+05:45"
    odd = (
        '{ "resourceType" : "Observation",  "id":"o-1","meta":{"versionId":"7","lastUpdated":"'
        f'{stamp}"}},"value":1.50,"t":"é\\u0001 𝄞"}}'
    )
    lake.land(LandedExport("e1", 100, {"Patient": [line("Patient", "a", 1, 5)], "Observation": [odd]}))
    run = lake.conform()
    rows = lake.rows()
    assert rows["Observation/o-1"]["resource"] == odd
    assert rows["Observation/o-1"]["last_updated"] == "2026-03-01 00:00:00.123456"
    assert rows["Observation/o-1"]["version_id"] == "7"
    assert {(row["source"], row["export_id"], row["changed_at"], row["run_id"]) for row in rows.values()} == {
        ("export", "e1", "2026-03-01 00:01:40", run.run_id)
    }
    assert lake.snapshots() == 1
    assert run.written == {"watershed_conformed.fhir_resource": 2}


def test_a_second_run_reads_and_writes_nothing(lake: FhirLake) -> None:
    lake.land(LandedExport("e1", 100, patients(line("Patient", "a", 1, 5))))
    lake.conform()
    run = lake.conform()
    assert (run.inputs["exports"], run.written) == (0, {})
    assert lake.snapshots() == 1


def test_an_overlapping_export_rewrites_only_what_changed(lake: FhirLake) -> None:
    lake.land(LandedExport("e1", 100, patients(line("Patient", "a", 1, 5), line("Patient", "b", 1, 6))))
    first = lake.conform()
    lake.land(LandedExport("e2", 200, patients(line("Patient", "a", 1, 5), line("Patient", "b", 2, 150))))
    second = lake.conform()
    rows = lake.rows()
    assert (rows["Patient/a"]["run_id"], rows["Patient/a"]["export_id"]) == (first.run_id, "e1")
    assert (rows["Patient/b"]["run_id"], rows["Patient/b"]["version_id"]) == (second.run_id, "2")
    assert second.written == {"watershed_conformed.fhir_resource": 1}


def test_late_data_does_not_win(lake: FhirLake) -> None:
    lake.land(LandedExport("e2", 200, patients(line("Patient", "a", 10, 150, n="new"))))
    lake.conform()
    lake.land(LandedExport("e1", 100, patients(line("Patient", "a", 9, 50, n="old"))))
    assert lake.conform().written.get("watershed_conformed.fhir_resource", 0) == 0
    assert json.loads(lake.state()["Patient/a"] or "")["n"] == "new"


def test_versions_of_one_moment_are_compared_as_numbers(lake: FhirLake) -> None:
    lake.land(LandedExport("e1", 100, patients(line("Patient", "a", 9, 5), line("Patient", "a", 10, 5))))
    lake.conform()
    assert lake.rows()["Patient/a"]["version_id"] == "10"


@pytest.mark.parametrize("order", [("e1", "e2"), ("e2", "e1")])
def test_without_version_and_time_the_later_export_wins(lake: FhirLake, order: tuple[str, str]) -> None:
    exports = {
        name: LandedExport(name, second, patients(line("Patient", "a", None, None, n=name)))
        for name, second in (("e1", 100), ("e2", 200))
    }
    for name in order:
        lake.land(exports[name])
        lake.conform()
    assert json.loads(lake.state()["Patient/a"] or "")["n"] == "e2"
    assert lake.rows()["Patient/a"]["last_updated"] is None


def test_two_contents_of_one_version_are_decided_the_same_way_every_time(lake: FhirLake) -> None:
    one, two = (line("Patient", "a", 1, 5, n=n) for n in (1, 2))
    lake.land(LandedExport("e1", 100, patients(one, two), per_file=1))
    lake.conform()
    chosen = lake.state()["Patient/a"]
    lake.land(LandedExport("e1", 100, patients(two, one), per_file=1))
    lake.conform(full=True)
    assert lake.state()["Patient/a"] == chosen


def test_bad_lines_are_set_aside_and_their_neighbours_go_on(lake: FhirLake) -> None:
    good = [line("Patient", name, 1, 5) for name in "abc"]
    bad: list[tuple[str | bytes, str]] = [
        (good[0][:-9], "not_json"),
        (good[0] + good[1], "not_json"),
        (good[0] + "}", "not_json"),
        (good[0] + "]}", "not_json"),
        ("null", "not_json"),
        ("[]", "not_json"),
        ('{"resourceType":"Patient"}', "no_id"),
        ('{"resourceType":"Patient","id":"a b"}', "no_id"),
        ('{"id":"x"}', "other_type"),
        (line("Encounter", "e", 1, 5), "other_type"),
        (line("Patient", "x", 1, 5).replace("2026-03-01T", "yesterday "), "bad_last_updated"),
        (b'{"resourceType":"Patient","id":"x","n":"\xff"}', "not_utf8"),
    ]
    lines: list[str | bytes] = [good[0], "", *(each for each, _ in bad), good[1], good[2]]
    lake.land(LandedExport("e1", 100, {}))
    key = "fhir/resource_type=Patient/export_date=2026-03-01/export_id=e1/Patient-1-0.ndjson"
    entry = lake.write(key, "Patient", lines)
    manifest = lake.manifest("e1")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "files": [entry]}))
    run = lake.conform()
    assert sorted(lake.state()) == ["Patient/a", "Patient/b", "Patient/c"]
    assert lake.quarantined() == [(key, number, why) for number, (_, why) in enumerate(bad, start=3)]
    assert sum(run.quarantined.values()) == len(bad)
    kept = [
        text
        for path in (lake.landing / "quarantine").rglob("*.gz")
        for text in gzip.decompress(path.read_bytes()).splitlines()
    ]
    assert sorted(kept)[:1] != []
    assert len(kept) == len(bad)


def test_a_large_file_is_read_in_blocks_and_its_bad_line_still_has_its_number(
    lake: FhirLake, spark: SparkSession
) -> None:
    lines = [line("Patient", f"p{number}", 1, 5, text="x" * 200) for number in range(400)]
    lines[321] = lines[321][:-20]
    lake.land(LandedExport("e1", 100, patients(*lines)))
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "8000")
    try:
        lake.conform()
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", before or "128MB")
    assert [(number, why) for _, number, why in lake.quarantined()] == [(322, "not_json")]
    assert len(lake.state()) == 399


def test_reported_deletions_become_tombstones_and_may_be_undone(lake: FhirLake) -> None:
    lake.land(LandedExport("e1", 100, patients(line("Patient", "a", 1, 5), line("Patient", "b", 1, 5))))
    lake.land(
        LandedExport(
            "e2",
            200,
            patients(line("Patient", "b", 3, 150)),  # deleted and made again before the export read it
            deleted=("Patient/a", "Patient/b", "Encounter/never-seen"),
        )
    )
    run = lake.conform()
    assert {key for key, text in lake.state().items() if text is None} == {
        "Patient/a",
        "Encounter/never-seen",
    }
    gone = lake.rows()["Patient/a"]
    assert gone["is_deleted"] is True
    assert (gone["source"], gone["export_id"], gone["run_id"]) == ("export_deleted", "e2", run.run_id)
    lake.land(LandedExport("e3", 300, patients(line("Patient", "a", 3, 250))))
    lake.conform()
    assert lake.rows()["Patient/a"]["is_deleted"] is False


def test_a_full_export_tombstones_what_it_lacks(lake: FhirLake) -> None:
    lake.land(
        LandedExport(
            "e1",
            100,
            {
                "Patient": [line("Patient", name, 1, 5) for name in ("kept", "gone")],
                "Encounter": [line("Encounter", "gone-with-its-type", 1, 5)],
            },
        )
    )
    lake.land(LandedExport("e2", 300, patients(line("Patient", "newer-than-the-full", 1, 250))))
    lake.conform()
    lake.land(LandedExport("f", 200, patients(line("Patient", "kept", 1, 5)), full=True))
    run = lake.conform()
    assert gone_from(lake) == {"Patient/gone", "Encounter/gone-with-its-type"}
    assert lake.rows()["Patient/gone"]["source"] == "export_absent"
    assert run.written == {"watershed_conformed.fhir_resource": 2}


def test_a_late_export_does_not_revive_what_a_full_one_lacks(lake: FhirLake) -> None:
    lake.land(LandedExport("f", 200, patients(line("Patient", "kept", 1, 5)), full=True))
    lake.conform()
    lake.land(LandedExport("e1", 100, patients(line("Patient", "kept", 1, 5), line("Patient", "gone", 1, 6))))
    lake.conform()
    assert gone_from(lake) == {"Patient/gone"}


@pytest.mark.parametrize("flaw", ["errors", "unreadable", "types"])
def test_a_full_export_that_may_be_incomplete_deletes_nothing(lake: FhirLake, flaw: str) -> None:
    lake.land(LandedExport("e1", 100, {"Encounter": [line("Encounter", "e", 1, 5)]}))
    lake.conform()
    lines = {"Encounter": [line("Encounter", "e", 1, 5)[:-5]], "Patient": [line("Patient", "p", 1, 5)]}
    if flaw == "errors":
        lake.land(LandedExport("f", 200, {}, full=True, status="COMPLETED_WITH_ERRORS"))
    elif flaw == "types":
        lake.land(LandedExport("f", 200, {}, full=True, types=("Patient",)))
    else:
        lake.land(LandedExport("f", 200, lines, full=True))
    lake.conform()
    assert lake.state()["Encounter/e"] is not None


@pytest.mark.parametrize("step", ["write_changes", "remember_full_exports", "record"])
def test_a_run_killed_at_any_step_is_healed_by_the_next(
    lake: FhirLake, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    exports = [
        LandedExport("e1", 100, patients(line("Patient", "a", 1, 5), line("Patient", "b", 1, 5)[:-4])),
        LandedExport(
            "f", 200, {"Encounter": [line("Encounter", "e", 1, 5)]}, full=True, types=("Encounter",)
        ),
    ]
    for export in exports:
        lake.land(export)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fhir, step, killed)
        with pytest.raises(KeyboardInterrupt):
            lake.conform()
    lake.conform()
    assert sorted(lake.state()) == ["Encounter/e", "Patient/a"]
    assert len(lake.quarantined()) == 1
    assert lake.conform().inputs["exports"] == 0


@pytest.mark.parametrize("damage", ["gone", "cut", "manifest"])
def test_a_damaged_export_stops_the_run_before_it_changes_anything(lake: FhirLake, damage: str) -> None:
    lake.land(LandedExport("e1", 100, patients(line("Patient", "a", 1, 5))))
    (file,) = (lake.landing / "fhir").rglob("*.ndjson")
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-3])
    else:
        lake.manifest("e1").write_text("{}")
    with pytest.raises(ManifestError, match="e1"):
        lake.conform()
    assert lake.state() == {}


@st.composite
def timelines(draw: st.DrawFn) -> list[LandedExport]:
    """Exports of a store to which random writes happen: what each holds is what HealthLake would give."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    store: dict[tuple[str, str], str] = {}
    changed: dict[tuple[str, str], float] = {}
    versions: dict[tuple[str, str], int] = {}
    deleted: dict[tuple[str, str], float] = {}
    exports: list[LandedExport] = []
    since = -1.0
    for number in range(draw(st.integers(2, 5))):
        for step in range(chance.randrange(0, 9)):
            at = number * 100 + step * 10.0
            key = (chance.choice(["Patient", "Encounter"]), chance.choice("abcd"))
            versions[key] = versions.get(key, 0) + 1
            if key in store and chance.random() < 0.4:
                del store[key]
                deleted[key] = at
            else:
                store[key] = line(*key, versions[key], at, n=chance.randrange(100))
                changed[key] = at
                deleted.pop(key, None)
        full = chance.random() < 0.4
        types = ("Patient",) if chance.random() < 0.2 else ()
        reports = chance.random() < 0.5
        lines: dict[str, list[str]] = {}
        for (type_, id_), text in store.items():
            if (full or changed[type_, id_] >= since) and (not types or type_ in types):
                lines.setdefault(type_, []).append(text)
        gone = [f"{t}/{i}" for (t, i), at in deleted.items() if reports and not full and at >= since]
        exports.append(
            LandedExport(
                f"e{number}",
                number * 100 + 95.0,
                lines,
                full=full,
                types=types,
                deleted=tuple(gone),
                per_file=chance.choice([1, 2, 1000]),
            )
        )
        if not types:
            since = number * 100 + 60.0  # an overlap, so that versions come twice
    return exports


@settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
@given(exports=timelines(), data=st.data())
def test_any_order_any_repetition_any_split_gives_the_same_table(
    spark: SparkSession, mirror: Path, exports: list[LandedExport], data: st.DataObject
) -> None:
    lake = make_lake(spark, mirror)
    arrivals = data.draw(st.permutations(exports))
    again = data.draw(st.lists(st.sampled_from(exports), max_size=1))
    note(f"arrivals: {[export.id for export in (*arrivals, *again)]}")
    cuts = data.draw(st.sets(st.integers(1, len(arrivals)), max_size=2))
    for number, export in enumerate([*arrivals, *again], start=1):
        lake.land(export)
        if number in cuts:
            lake.conform()
    lake.conform()
    assert lake.state() == expected_state(exports)
