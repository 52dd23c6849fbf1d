"""Iterations become generators, which Spark turns into plain Java code, unless the collection as a whole matters."""

from __future__ import annotations

import pytest

from glue_jobs.sql_on_fhir import compile_views
from glue_jobs.sql_on_fhir.steps import Keep, Step, Unnest


def steps(iteration: str, path: str, column: str = "value") -> tuple[Step, ...]:
    """The steps of an iteration over a path of Patient."""
    select = {iteration: path, "column": [{"name": "c", "path": column}]}
    return compile_views([{"resource": "Patient", "name": "v", "select": [select]}]).views["v"].steps


def test_each_collection_of_a_path_is_a_generator_and_nulls_go_last() -> None:
    outer, inner, keep = steps("forEach", "contact.telecom")
    assert isinstance(outer, Unnest)
    assert isinstance(inner, Unnest)
    assert outer.generator == "explode(_r.`contact`)"
    assert inner.generator == f"explode({outer.names[0]}.`telecom`)"
    assert keep == Keep(f"{inner.names[0]} IS NOT NULL")


@pytest.mark.parametrize(
    ("iteration", "column"),
    [pytest.param("forEachOrNull", "value", id="a row where empty"), ("forEach", "%rowIndex")],
)
def test_where_the_whole_collection_matters_it_is_made_first(iteration: str, column: str) -> None:
    (only,) = steps(iteration, "contact.telecom", column)
    assert isinstance(only, Unnest)
    assert "flatten(" in only.generator
