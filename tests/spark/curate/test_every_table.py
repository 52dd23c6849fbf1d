"""All declarations at once, over resources that have everything and a sample population: each column is filled,
each key joins, and no identifier of a patient is in any file of the de-identified twin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from pyspark.sql import SparkSession

from glue_jobs.curation.declarations import CURATED
from glue_jobs.curation.publish import Outcome
from glue_jobs.deid.expressions import Rules
from glue_jobs.deid.twin import TWIN
from local.sample.changes import Sources
from schemas.model import Model
from schemas.view import View
from tests.conftest import LAKE_BUCKET, LANDING_BUCKET
from tests.e2e.lake.personal import found_in, personal_values
from tests.spark.curate.complete import complete_resources, identity
from tests.spark.curate.expected_twin import Oracle
from tests.spark.curate.inhabitants import settle
from tests.spark.curate.world import World, encounter, patient
from tests.spark.file_contents import content

pytestmark = pytest.mark.spark

SECRET = "the secret of the tests, which is long enough"
JOINED = re.compile(r"([a-z_]+)\.resource_key")
WHY_NULL: dict[str, str] = {}
"""Columns without a value here, and why."""

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENT = identity("Patient")
THIS_YEAR = datetime.now(UTC).year


@dataclass(frozen=True)
class Filled:
    """A world of everything, curated once, and the part of the sources that is the sample population."""

    world: World
    people: Sources
    outcomes: Mapping[str, Outcome]
    rows: Mapping[str, list[dict[str, Any]]]

    @property
    def tables(self) -> list[View | Model]:
        return [*self.world.declarations.views.values(), *self.world.declarations.models.values()]


@pytest.fixture(scope="module")
def filled(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    folder = tmp_path_factory.mktemp("deid")
    (folder / "secret").write_text(SECRET)
    world = World(spark, f"s3://{LANDING_BUCKET}/", secret=folder / "secret")
    world.put(*complete_resources(world.declarations.views.values()), *_measurements(world))
    _put_items(world)
    world.put(patient("old", birthDate=f"{THIS_YEAR - 95}-05-17"))
    for ago in (40, 1):
        world.put(encounter(f"visit-{ago}", "old", f"{THIS_YEAR - ago}-06-01T12:00:00Z"))
    world.put(_result("age", "30525-0", 95))
    people = settle(world, folder)
    world.conform()
    outcomes = world.curate()
    names = (*world.declarations.views, *world.declarations.models)
    return Filled(world, people, outcomes, {name: world.table(name) for name in names})


def test_every_column_is_filled_every_key_is_unique_and_joins_the_table_it_names(filled: Filled) -> None:
    world, tables, rows = filled.world, filled.tables, filled.rows
    assert set(filled.outcomes) == {zone + each.name for each in tables for zone in ("", "curated_deid.")}

    empty = {f"{name}.{column}" for name, of in rows.items() for column in _never_filled(of)}
    assert empty == set(WHY_NULL)
    keys = {name: {row["resource_key"] for row in rows[name]} for name in world.declarations.views}
    for table in tables:
        for column in table.columns:
            joined = JOINED.findall(column.description)
            if joined:
                held = {row[column.name] for row in rows[table.name]} - {None}
                assert held <= set().union(*(keys[each] for each in joined)), f"{table.name}.{column.name}"
    for model in world.declarations.models.values():
        held_keys = [tuple(row[name] for name in model.key) for row in rows[model.name]]
        assert len(held_keys) == len(set(held_keys)), model.name


def test_the_twin_says_of_every_row_what_its_rules_say_and_joins_as_the_curated_tables_do(
    filled: Filled,
) -> None:
    world = filled.world
    expected = Oracle(SECRET.encode(), Rules("shift", THIS_YEAR))
    rows = {}
    for name, table in world.declarations.deid.items():
        rows[name] = world.table(name, TWIN)
        assert rows[name] == expected.rows(table, filled.rows[name]), name
    ages = {row["encounter_key"]: row["age_at_start"] for row in rows["encounter_timeline"]}
    # Who is 95 by now was 55 then: that would tell the year of birth.
    assert (ages[expected.key("visit-40")], ages[expected.key("visit-1")]) == (None, 90)
    measured = {row["id"]: row["value_quantity"] for row in rows["observation"]}
    assert (measured[expected.key("result-8302-2")], measured[expected.key("age")]) == (90, None)
    for name in ("encounter", "observation", "patient_profile"):
        held = {row["patient_key"] for row in rows[name]} - {None}
        assert len(held) > 5, name
        assert held <= {row["resource_key"] for row in rows["patient"]}, name


def test_no_identifier_of_the_sample_population_is_in_any_file_of_the_twin(
    filled: Filled, mirror: Path
) -> None:
    warehouse = mirror / LAKE_BUCKET / "warehouse"
    people = filled.people
    personal = personal_values(people)
    ids = {each["id"] for each in people.all_resources()}
    keys = {
        str(item[name])
        for of in people.items.values()
        for item in of
        for name in ("id", "siteId")
        if name in item
    }
    born = {each["birthDate"] for each in people.of_type("Patient")}
    for of, found in ((CURATED, True), (TWIN, False)):
        told = "\n".join([_files(warehouse / of), *_bounds(filled.world, of)])
        words = set(re.findall(r"[\w.-]+", told))
        assert bool(found_in(personal, told)) is found, of
        for what, sought in (
            ("id", ids),
            ("item key", keys),
            ("birth date", born),
            ("id", {each[:16] for each in ids}),
        ):
            assert len(sought) > 3
            assert bool(sought & words) is found, f"{of}: {what}, {len(sought & words)} of {len(sought)}"


def _files(folder: Path) -> str:
    """Every file of a database as text: rows, statistics, manifests, metadata."""
    texts = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            texts += [
                str(value) for column in parquet.read_table(path).columns for value in column.to_pylist()
            ]
        if path.is_file():
            texts.append(content(path).decode("utf-8", "replace"))
    return "\n".join(texts)


def _bounds(world: World, database: str) -> Iterator[str]:
    """The bounds of columns that manifests hold, dates and times as such."""
    for name in world.declarations.suites:
        table = f"lake.{database}.{name}.all_files"
        yield from (
            row[0] for row in world.spark.sql(f"select to_json(readable_metrics) from {table}").collect()
        )


def _never_filled(rows: list[dict[str, Any]]) -> set[str]:
    return {name for name in rows[0] if all(row[name] is None for row in rows)}


def _measurements(world: World) -> Iterator[dict[str, Any]]:
    """One result for each code that the model of latest results knows."""
    codes = re.findall(r"\('([\d-]+)', '\w+'\)", world.declarations.models["latest_vitals_and_labs"].sql)
    assert len(codes) > 20
    for code in codes:
        yield _result(f"result-{code}", code, 90)


def _result(id_: str, code: str, value: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": code}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": NOON.isoformat(),
        "valueQuantity": {"value": value, "unit": "u", "code": "u"},
    }


def _put_items(world: World) -> None:
    """One item of each type about the first patient, with every attribute."""
    for name, item_type in world.types.items():
        item = {column.column: _VALUES[column.type.partition("(")[0]] for column in item_type.columns}
        for column in item_type.columns:
            if column.references == "Patient":
                item[column.column] = PATIENT
        world.put_item(name, **item)


_VALUES: dict[str, Any] = {
    "string": "text",
    "long": 1,
    "double": 1.5,
    "decimal": Decimal("1.5"),
    "boolean": True,
    "binary": b"b",
    "date": date(2026, 1, 1),
    "timestamp": NOON,
    "timestamp_millis": NOON,
    "timestamp_seconds": NOON,
    "string_set": ["text"],
    "json": "{}",
}
