"""The SQL of nested operators grows with what is written, not with every level again."""

from __future__ import annotations

import pytest

from glue_jobs.sql_on_fhir.plan import compile_views


def length(path: str) -> int:
    """Characters of the Spark SQL of a view with one column."""
    view = {"resource": "Observation", "select": [{"column": [{"name": "v", "path": path}]}]}
    (compiled,) = compile_views([view], lexical=True).views.values()
    return sum(len(getattr(step, "sql", "")) for step in compiled.steps) + sum(
        len(output.sql) for output in compiled.outputs
    )


@pytest.mark.parametrize("operator", ["+ 1.5", "- 2", "* 0.5", "/ 3"])
def test_arithmetic_on_arithmetic_is_written_once(operator: str) -> None:
    eight = length("value.ofType(Quantity).value " + operator * 8)
    sixteen = length("value.ofType(Quantity).value " + operator * 16)
    assert sixteen < 2.5 * eight < 20_000


def test_a_boundary_names_its_number_once() -> None:
    plain = length("value.ofType(Quantity).value.lowBoundary()")
    assert length("(value.ofType(Quantity).value + 1.5).lowBoundary()") < 3 * plain < 10_000
    assert length("(-(-value.ofType(Quantity).value)).lowBoundary().highBoundary()") < 6 * plain
