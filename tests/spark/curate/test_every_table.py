"""All declarations at once, over resources that have everything: each column is filled, each key joins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from schemas.model import Model
from schemas.view import View
from tests.spark.curate.complete import complete_resources, identity
from tests.spark.curate.world import World

pytestmark = pytest.mark.spark

JOINED = re.compile(r"([a-z_]+)\.resource_key")
WHY_NULL: dict[str, str] = {}
"""Columns without a value here, and why."""

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENT = identity("Patient")


def test_every_column_is_filled_every_key_is_unique_and_joins_the_table_it_names(
    spark: SparkSession, landing_uri: str
) -> None:
    world = World(spark, landing_uri)
    world.put(*complete_resources(world.declarations.views.values()), *_measurements(world))
    _put_items(world)
    world.conform()
    outcomes = world.curate()
    tables: list[View | Model] = [*world.declarations.views.values(), *world.declarations.models.values()]
    assert set(outcomes) == {each.name for each in tables}
    rows = {each.name: world.table(each.name) for each in tables}

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


def _never_filled(rows: list[dict[str, Any]]) -> set[str]:
    return {name for name in rows[0] if all(row[name] is None for row in rows)}


def _measurements(world: World) -> Iterator[dict[str, Any]]:
    """One result for each code that the model of latest results knows."""
    codes = re.findall(r"when code in \('([^']+)'", world.declarations.models["latest_vitals_and_labs"].sql)
    assert len(codes) > 20
    for code in codes:
        yield {
            "resourceType": "Observation",
            "id": f"result-{code}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": code}]},
            "subject": {"reference": f"Patient/{PATIENT}"},
            "effectiveDateTime": NOON.isoformat(),
            "valueQuantity": {"value": 90, "unit": "u", "code": "u"},
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
