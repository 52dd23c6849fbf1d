"""A model that is wrong is refused before a row is read, by an error that names the file and the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from glue_jobs.curation.models import prepare_model
from schemas import SchemaError
from schemas.model import Model
from tests.conftest import LANDING_BUCKET
from tests.spark.curate.world import World, chosen

pytestmark = pytest.mark.spark

NAME = "encounter_site_activity"
Edit = Callable[[Model], Model]


@pytest.fixture(scope="module")
def world(spark: SparkSession) -> World:
    """A world whose tables exist and are blank."""
    world = World(spark, f"s3://{LANDING_BUCKET}/", chosen(NAME))
    world.curate()
    return world


def _line(text: str, part: str) -> int:
    """The first line, from 1, that holds a part."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def _sql(old: str, new: str) -> Edit:
    def edit(model: Model) -> Model:
        assert old in model.sql
        return replace(model, sql=model.sql.replace(old, new))

    return edit


def _keys(sql: str) -> Edit:
    def edit(model: Model) -> Model:
        first, *others = model.depends_on
        return replace(model, depends_on=(replace(first, changed_keys=sql), *others))

    return edit


@pytest.mark.parametrize(
    ("edit", "file", "part", "problem"),
    [
        (_sql("    e.status,", "    e.statuss,"), "sql", "e.status,", "statuss"),
        (_sql("with visit as (", "with visit as (("), "sql", "", "PARSE_SYNTAX_ERROR"),
        (_sql("from encounter e", "from lake.watershed_curated.encounter e"), "sql", "from encounter e", "its full name"),
        (_sql("  v.status,\n", "  v.status,\n  v.status as state,\n"), "sql", "  v.class_code,", "gives state, which"),
        (_sql("  v.status,\n", ""), "yaml", "  status:", "sql does not give status"),
        (_sql("  v.status,\n  v.class_code,\n", "  v.class_code,\n  v.status,\n"), "yaml", "  class_code:", "another order"),
        (_keys("select id_ as encounter_key from changed"), "yaml", "changed_keys:", "id_"),
        (_keys("select resource_key from changed"), "yaml", "changed_keys:", r"must give the key \(encounter_key\)"),
    ],
)  # fmt: skip
def test_a_wrong_model_is_refused_by_file_and_line(
    world: World, edit: Edit, file: str, part: str, problem: str
) -> None:
    model = world.declarations.models[NAME]
    with pytest.raises(SchemaError, match=problem) as raised:
        prepare_model(world.run(), edit(model), world.declarations.suites[NAME])
    message = str(raised.value)
    assert f"{NAME}.{file}" in message
    text = model.sql if file == "sql" else model.file.read_text(encoding="utf-8")
    assert f"line {_line(text, part)}" in message if part else "line " in message
    assert prepare_model(world.run(), model, world.declarations.suites[NAME])
