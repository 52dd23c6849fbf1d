"""The de-identified twin follows the curated tables: row by row what plain Python says, however it came about."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.functions import expr

from glue_jobs.curation.declarations import CURATED
from glue_jobs.curation.inputs import needed_snapshots
from glue_jobs.deid.expressions import INNER, MODES, OFFSET, Rules, offset, pads, selection
from glue_jobs.deid.secret import pad_row, with_pads
from glue_jobs.deid.twin import TWIN, Undeclared
from glue_jobs.lake.maintenance import maintain_table
from glue_jobs.lake.tables import iceberg_table, table_exists
from schemas.deid_table import load_deid_tables
from tests.spark.curate.expected_twin import Oracle
from tests.spark.curate.rounds import play_round
from tests.spark.curate.world import World, chosen, encounter, home, in_order, patient, reading, utc

pytestmark = pytest.mark.spark

TABLES = ("patient", "encounter", "patient_profile", "site_activity_daily")
SECRET = "0123456789abcdef0123456789abcdef-tests"
NOW = datetime.now(UTC)


def oracle(world: World) -> Oracle:
    assert world.secret is not None
    return Oracle(world.secret.read_text().encode(), Rules(world.deid, NOW.year))


def assert_twin(world: World) -> None:
    """Every table of the twin holds what its curated table holds, as the rules show it, and nothing else."""
    expected = oracle(world)
    for name, table in world.declarations.deid.items():
        assert world.table(name, TWIN) == expected.rows(table, world.table(name)), name


def has_a_past(world: World, name: str) -> bool:
    """Whether an older snapshot holds anything: the first branch of a new table begins at an empty one."""
    table = iceberg_table(world.spark, f"lake.{TWIN}.{name}")
    records = [dict(each.summary()).get("total-records", "0") for each in table.snapshots()]
    return any(each != "0" for each in records[:-1])


def behind(world: World) -> float:
    """What the last run told of the twin as a whole."""
    (figure,) = (
        each for each in world.metrics if each.dimension[1] == "curated_deid" and each.name == "Behind"
    )
    return figure.value


def only(world: World, name: str, **where: Any) -> dict[str, Any]:
    (row,) = (row for row in world.table(name, TWIN) if where.items() <= row.items())
    return row


@pytest.fixture(scope="module")
def world(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with a twin, which the tests of this file change one after another."""
    secret = tmp_path_factory.mktemp("deid") / "secret"
    secret.write_text(SECRET)
    world = World(spark, "s3://watershed-landing-test/", chosen(*TABLES), secret=secret, now=NOW)
    world.put(
        patient("young", birthDate="1990-05-17", address=[{"postalCode": "02139-4307", "country": "US"}]),
        patient("old", birthDate=f"{NOW.year - 95}-05-17", address=[{"postalCode": "03601"}]),
        patient("abroad", birthDate="1985-11", address=[{"postalCode": "10115", "country": "DE"}]),
        encounter("e1", "young", "2026-03-01T23:30:00-05:00", "2026-03-02T08:00:00-05:00"),
        encounter("e4", "nobody", "2026-03-05T12:00:00Z"),
        encounter("e5", None, "2026-03-05T12:00:00Z"),
    )
    world.put_item("address", **home("young", 1))
    world.put_item("site_activity", **reading(datetime(2026, 3, 1, 12, tzinfo=UTC), "young"))
    world.conform()
    outcomes = world.curate()
    assert {each for each in outcomes if "." in each} == {f"curated_deid.{name}" for name in TABLES}
    return world


def test_what_the_twin_shows(world: World) -> None:
    assert_twin(world)
    expected = oracle(world)
    young, old, abroad = (
        only(world, "patient", id=expected.key(name)) for name in ("young", "old", "abroad")
    )
    assert (young["postal_code"], old["postal_code"], abroad["postal_code"]) == ("021", "000", None)
    assert not {"family_name", "given_name", "address_line", "city", "phone", "mrn"} & young.keys()
    assert 1989 <= young["birth_date"].year <= 1990
    assert young["birth_date_text"] == str(young["birth_date"])
    assert old["birth_date_text"] == f"{NOW.year - 90}-01-01", "90 and over is one category"
    assert abroad["birth_date"] is None
    assert len(abroad["birth_date_text"]) == len("1985-11")
    # Joins between tables of the twin hold, and intervals of one patient are what they were.
    first = only(world, "encounter", id=expected.key("e1"))
    assert first["patient_key"] == young["resource_key"]
    assert first["ended_at"] - first["started_at"] == timedelta(hours=8, minutes=30)
    assert first["started_at"] == datetime(2026, 3, 2, 4, 30, tzinfo=UTC) + timedelta(expected.days("young"))
    assert only(world, "encounter", id=expected.key("e5"))["started_at"] is None
    order = iceberg_table(world.spark, f"lake.{TWIN}.encounter").sortOrder()
    assert len(order.fields()) == 2, "laid out as the table that it follows"
    assert world.curate() == {}, "nothing changed, nothing to do"


def test_changes_and_deletes_reach_the_twin_by_what_changed(world: World) -> None:
    random_ = random.Random(7)
    play_round(world, random_, 60)
    world.conform()
    world.curate()
    assert_twin(world)
    world.delete("Patient", "young")
    world.put(patient("p1", birthDate="1971-01-01"))
    world.conform()
    outcomes = world.curate()
    changed = outcomes["curated_deid.patient"]
    assert changed.added == 1
    assert changed.removed <= 2, "the others stay as they are"
    assert_twin(world)
    gone = oracle(world).key("young")
    assert gone not in {row["resource_key"] for row in world.table("patient", TWIN)}
    assert has_a_past(world, "patient")
    made = [f"lake.{database}.{name}" for database in (CURATED, TWIN) for name in TABLES]
    needed = needed_snapshots(world.spark, made)
    for table in (f"lake.{CURATED}.patient", f"lake.{TWIN}.patient"):
        maintain_table(world.spark, table, timedelta(0), needed.get(table, ()))
    assert not any(each.added + each.removed for each in world.curate().values()), "compaction changes no row"
    assert_twin(world)


def test_a_column_that_nobody_judged_is_left_out_and_named(world: World) -> None:
    judged = world.declarations
    table = judged.deid["patient"]
    treatments = {name: each for name, each in table.treatments.items() if name != "gender"}
    unjudged = {"patient": replace(table, treatments=treatments)}
    world.declarations = replace(judged, deid=unjudged)
    assert behind(world) == 0
    with pytest.raises(Undeclared, match=r"deid/patient\.yaml: gender: has no treatment") as raised:
        world.curate()
    assert "patient_profile.yaml: no such file" in str(raised.value)
    assert "gender" not in world.spark.table(f"lake.{TWIN}.patient").columns
    assert not has_a_past(world, "patient"), "no older snapshot shows it any more"
    assert not table_exists(world.spark, f"lake.{TWIN}.patient_profile"), (
        "nor is there a table without a file"
    )
    world.declarations = judged
    world.curate()
    assert_twin(world)


def test_another_secret_and_other_rules_make_the_twin_anew_as_what_changed_made_it(
    world: World, tmp_path: Path
) -> None:
    before = {row["id"] for row in world.table("patient", TWIN)}
    assert world.secret is not None
    world.secret.write_text("another " + SECRET)
    world.curate()
    assert_twin(world)
    assert not before & {row["id"] for row in world.table("patient", TWIN)}
    assert not has_a_past(world, "patient"), "old and new hashes cannot be compared"
    world.deid = "year"
    world.curate()
    assert_twin(world)
    assert {(each["birth_date"].month, each["birth_date"].day) for each in _born(world)} == {(1, 1)}


def _born(world: World) -> list[dict[str, Any]]:
    return [row for row in world.table("patient", TWIN) if row["birth_date"]]


AWKWARD = {
    "birth_date_text": (
        *(
            "2026-02-31",
            "2026-02-28T23:59:60+14:00",
            "1999-12-31 ",
            "19991231",
            "1999-1",
            "1999-13",
            "",
            "soon",
        ),
        *(
            "1999-12",
            "1999",
            "1930",
            "1930-05",
            "1936-12-31",
            "1937-01-01",
            "0001-01-01",
            "2026-01-01T00:00:00Z",
        ),
    ),
    "birth_date": (date(1936, 12, 31), date(1937, 1, 1), date(2000, 2, 29), date(1600, 1, 1)),
    "deceased_at": (datetime(2000, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), datetime(1936, 1, 1, tzinfo=UTC)),
    "postal_code": (
        "02139",
        "021394307",
        "02139-4307",
        "2139",
        "03601",
        "20500",
        "O2139",
        "02139 ",
        "SW1A 1AA",
    ),
    "id": ("", "a b", "p\u00e4", "x" * 500),
}


@pytest.mark.parametrize("mode", MODES)
def test_awkward_values_are_shown_as_plain_python_shows_them(spark_in_mode: SparkSession, mode: str) -> None:
    table, rules = load_deid_tables()["patient"], Rules(mode, 2026)
    types = {"birth_date": "date", "deceased_at": "timestamp"}
    for column, values in AWKWARD.items():
        of = {"resource_key": "string", "country": "string"} | {column: types.get(column, "string")}
        given = [
            ("p1", country, value) for value in (*values, None) for country in (None, "US", " usa", "DE")
        ]
        rows = spark_in_mode.createDataFrame(
            given, ", ".join(f"{name} {type_}" for name, type_ in of.items())
        )
        beside = with_pads(rows, pad_row(spark_in_mode, SECRET.encode()))
        shown = beside.withColumn(OFFSET, expr(offset("resource_key"))).selectExpr(
            *selection(table, of, rules)
        )
        plan = shown._jdf.queryExecution().toString()  # type: ignore[operator, unused-ignore]
        assert INNER in plan
        assert not [
            told
            for each in pads(SECRET.encode())
            for told in (each.hex(), each.hex().upper())
            if told in plan
        ]
        told = in_order({name: utc(each) for name, each in row.asDict().items()} for row in shown.collect())
        expected = Oracle(SECRET.encode(), rules).rows(
            table, (dict(zip(of, row, strict=True)) for row in given)
        )
        assert told == expected, column
