"""Good resources, damaged at random: nothing stops, whole lines keep their rows, and no row changes in silence.

Few examples run by default, each with many damaged lines at once.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from glue_jobs.sql_on_fhir import compile_views
from tests.conftest import examples
from tests.spark.sql_on_fhir.patients import VIEW, patient, row

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

LINES = 60
_OTHERS: list[Any] = [
    5,
    -1.5,
    2**40,
    True,
    "",
    "text",
    "7",
    [],
    {},
    [[]],
    [5],
    ["x"],
    {"a": 1},
    [{}],
    [None, {}],
]
_MARKS = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ",",
    ":",
    "\\",
    "\\u12",
    "null",
    " ",
    "\t",
    "\x00",
    "\ufeff",
    "é",
    "{}",
    "0",
]

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]
Place = tuple[Any, Any]  # an object or array, and a key or index in it


def _pick(draw: Draw, options: Sequence[T]) -> T:
    """One of the options."""
    found: T = draw(st.sampled_from(options))
    return found


def places(value: Any) -> Iterator[Place]:
    """Every value below this one."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from places(value[key])


@st.composite
def misshapen(draw: Draw, identifier: str) -> bytes:
    """A line in which a few values are of another JSON type, or integers too large."""
    resource = patient(identifier)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = _pick(draw, [(h, k) for h, k in places(resource) if h[k] is not None])
        value = holder[key]
        wrapped = [[value], {"a": value}, *(value if isinstance(value, list) else [])]
        others = [other for other in (*_OTHERS, *wrapped) if type(other) is not type(value)]
        holder[key] = copy.deepcopy(_pick(draw, [2**40] if value == 2 else others))
    return json.dumps(resource).encode()


@st.composite
def doubled(draw: Draw, identifier: str) -> bytes:
    """A line in which a key of some object occurs twice, with another value."""
    resource = patient(identifier)
    objects = [(h, k) for h, k in places(resource) if isinstance(h, dict)]
    holder, key = _pick(draw, objects)
    first = json.dumps(holder[key])
    holder[key] = "@@"
    other = json.dumps(_pick(draw, [None, "new", 7, [], {}]))
    pair = [first, other] if draw(st.booleans()) else [other, first]
    return json.dumps(resource).replace('"@@"', f"{pair[0]}, {json.dumps(key)}: {pair[1]}").encode()


@st.composite
def cut_or_joined(draw: Draw, identifier: str) -> bytes:
    """A line that ends too early, or has something behind it."""
    text = json.dumps(patient(identifier))
    if draw(st.booleans()):
        return text[: draw(st.integers(1, len(text) - 1))].encode()
    behind = [text, "{}", "}", "]", ",", "]}", "},{}", " null", '"', "[" * 3, "\x00"]
    return (text + _pick(draw, behind)).encode()


@st.composite
def scratched(draw: Draw, identifier: str) -> bytes:
    """A line in which bytes are missing or others inserted. What it says then may be good JSON: see `ANY_ROW`."""
    line = json.dumps(patient(identifier)).encode()
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(line)))
        bad = _pick(draw, [*(mark.encode() for mark in _MARKS), b"\xff", b"\xc3", b"\xed\xa0\x80"])
        line = line[:at] + bad + line[at + draw(st.integers(0, 2)) :]
    return line


KINDS = [misshapen, doubled, cut_or_joined, scratched]
# Damage that can turn one good resource into another: its rows may be any, as long as nothing else suffers.
ANY_ROW = {scratched}


@st.composite
def files(draw: Draw) -> list[tuple[Any, bytes]]:
    """Lines, and what was done to each (None: nothing)."""
    found: list[tuple[Any, bytes]] = []
    for number in range(LINES):
        kind = _pick(draw, [*KINDS, None])
        whole = json.dumps(patient(f"p{number}")).encode()
        found.append((kind, draw(kind(f"p{number}")) if kind else whole))
    return found


@settings(
    max_examples=examples(2),
    derandomize=examples(2) <= 2,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(files())
def test_damage_is_reported_and_stays_where_it_is(
    spark: SparkSession, lines: list[tuple[Any, bytes]]
) -> None:
    frame = spark.createDataFrame(
        [(number, bytearray(line)) for number, (_, line) in enumerate(lines)], "line INT, bytes BINARY"
    ).selectExpr("line", "CAST(bytes AS STRING) AS resource")
    plan = compile_views([VIEW])
    with plan.run(frame.coalesce(1), carry=["line"]) as frames:
        rows: dict[int, list[dict[str, Any]]] = {}
        for found in frames[VIEW["name"]].collect():
            values = found.asDict()
            rows.setdefault(values.pop("line"), []).append(values)
    reported = {found["line"] for found in plan.problems(frame.coalesce(1), carry=["line"]).collect()}
    for number, (kind, line) in enumerate(lines):
        good = [row(f"p{number}")]
        if kind is None:
            assert rows.get(number) == good
            assert number not in reported
        elif kind not in ANY_ROW and rows.get(number) != good:
            assert number in reported, line.decode(errors="replace")
