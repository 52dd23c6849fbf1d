"""Lines with a decimal that a double would change are found, however the JSON is laid out."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glue_jobs.sql_on_fhir import compile_views
from glue_jobs.sql_on_fhir.decimals import _LOSSY, exact_decimals

_SEARCH = re.compile(r"RLIKE '([^']*)'")


def searched(*paths: str, resource: str = "Observation") -> list[str]:
    """The patterns that a line is searched for before it is rewritten."""
    columns = [{"name": f"c{index}", "path": path} for index, path in enumerate(paths)]
    view = {"resource": resource, "name": "v", "select": [{"column": columns}]}
    sql = exact_decimals("line", compile_views([view]).needs[resource])
    return [re.sub(r"\\u(....)", lambda code: chr(int(code[1], 16)), text) for text in _SEARCH.findall(sql)]


def test_a_value_in_one_kind_of_object_is_told_apart_by_that_object() -> None:
    (pattern,) = searched("value.ofType(Quantity).value")
    assert pattern.startswith('"valueQuantity"')


@pytest.mark.parametrize(
    ("resource", "paths"),
    [
        pytest.param("Location", ("position.latitude", "position.longitude"), id="two in one object"),
        pytest.param(
            "Observation",
            (
                "value.ofType(Quantity).value",
                "value.ofType(Range).low.value",
                "value.ofType(Range).high.value",
            ),
            id="in many kinds of objects",
        ),
        pytest.param("RiskAssessment", ("prediction.first().probability.ofType(decimal)",), id="in an array"),
    ],
)
def test_elsewhere_the_key_itself_is_searched_for(resource: str, paths: tuple[str, ...]) -> None:
    patterns = searched(*paths, resource=resource)
    assert patterns
    assert all(re.match(r'"(value|latitude|longitude|probabilityDecimal)"', pattern) for pattern in patterns)


def test_a_view_without_decimals_searches_nothing() -> None:
    assert searched("status") == []


lexemes = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"-?(0|[1-9][0-9]?)\.[0-9]{1,3}", fullmatch=True),
    st.sampled_from(["0", "-0", "0.0", "-0.0", "0.001", "0.0001", "9999999.5", "10000000.5", "1.10", "10"]),
)
members = st.permutations(["value", "unit", "system", "extension"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """An Observation with a Quantity in several places, its members in any order, spaced as producers do."""
    numbers: list[str] = []

    def quantity() -> dict[str, object]:
        numbers.append(draw(lexemes))
        values = {
            "value": f"@{len(numbers) - 1}@",
            "unit": draw(st.sampled_from(["kg", '"valueQuantity": {"value": 1', "\\"])),
            "system": "http://unitsofmeasure.org",
            "extension": [{"url": "u", "valueQuantity": {"value": "@0@"}}],
        }
        names = draw(members)[: draw(st.integers(1, 4))]
        return {name: values[name] for name in names}

    resource = {
        "valueQuantity": quantity(),
        "referenceRange": [{"low": quantity()}],
        "component": [{"valueQuantity": quantity()} for _ in range(draw(st.integers(0, 2)))],
    }
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), (",\t", ":\t")]))
    text = json.dumps(resource, separators=separators)
    return re.sub(r'"@(\d+)@"', lambda found: numbers[int(found.group(1))], text)


@settings(max_examples=500)
@given(lines())
def test_no_line_with_a_lossy_number_is_missed(line: str) -> None:
    """The fast search finds each line in which the search for the key itself finds a needed number."""
    (fast,) = searched("value.ofType(Quantity).value")
    needed = rf'"valueQuantity"\s*:\s*\{{[^{{}}]*"value"\s*:\s*({_LOSSY})'
    if re.search(needed, line):
        assert re.search(fast, line)
    anywhere = (
        "value.ofType(Quantity).value",
        "referenceRange.first().low.value",
        "value.ofType(Range).high.value",
    )
    (fast,) = searched(*anywhere)
    if re.search(rf'"value"\s*:\s*({_LOSSY})', line):
        assert re.search(fast, line)
