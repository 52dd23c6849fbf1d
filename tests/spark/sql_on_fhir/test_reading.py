"""Bad lines and elements never stop a query, never change the rows of other lines and are never lost in silence.

All lines are read at once: from a plain and a packed file, alone (by Spark's JSON source) and beside views of another
type (as text), and from a frame. Each case then looks at its own line.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glue_jobs.sql_on_fhir import compile_views
from glue_jobs.sql_on_fhir.problems import file_problems
from tests.spark.sql_on_fhir.patients import VIEW, changed, patient, row

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

Problems = list[tuple[str, str]]  # (element, how the reason begins)
Row = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A line and what is expected of it: how its row differs (None: it has no row), and its problems."""

    text: str
    differs: Mapping[str, Any] | None = field(default_factory=dict)
    problems: Problems = field(default_factory=list)


def changes(old: str, new: str, column: str, values: Any, *problems: tuple[str, str]) -> Line:
    """A line in which a piece of text is another, which shows in one column."""
    return Line(changed({old: new}), {column: values} if column else {}, list(problems))


def lost(text: str, reason: str, element: str = "") -> Line:
    """A line without a row."""
    return Line(text, None, [(element, reason)])


GOOD = json.dumps(patient())
TWICE = "the key occurs twice"
BEHIND = "text behind the resource"
GIVEN = '["Ann", null, "10"]'

LINES: Mapping[str, Line] = {
    "a good line": Line(GOOD),
    "spaces around and within": Line("  " + json.dumps(patient(), indent=1).replace("\n", "\t") + " "),
    "escaped text": Line(changed({'"Berg"': r'"\u0042erg"', '"female"': r'"f\u0065male"'})),
    "a line of a megabyte": Line(changed({'"x"]': f'"{"x" * 1_000_000}"]'})),
    "unknown elements": Line(changed({'"gender"': '"name2": [{"family": {}}], "gender"'})),
    "an explicit null": changes('"female"', "null", "gender", None),
    "no primitive extension": changes('"_birthDate"', '"_deathDate"', "birth_time", None),
    "no primitive beside its extension": changes('"birthDate"', '"deathDate"', "birth", None),
    "another resource type": Line('{"resourceType": "Group", "id": "p", "name": 5}', None),
    # Lines that are not one resource
    "nothing but text": lost("gone", "not JSON at character 0"),
    "cut at the end": lost(GOOD[:-1], "not JSON"),
    "cut within a text": lost(GOOD[: GOOD.index("Berg") + 2], "not JSON"),
    "cut within a number": lost(GOOD[: GOOD.index(', "link"')], "not JSON"),
    "a quote too many": lost(changed({"Berg": 'Be"rg'}), "not JSON"),
    "a comma too many": lost(changed({"true,": "true,,"}), "not JSON"),
    "a raw tab in a text": lost(changed({'"link"': '"li\tnk"'}), "not JSON"),
    "a string": lost('"Patient"', "not an object but a string"),
    "null": lost("null", "not an object but null"),
    "an object without anything": lost('{"id": "p"}', "no resourceType", "resourceType"),
    "nesting without end": lost(changed({'"x"]': "[" * 2000 + "]" * 2000 + "]"}), ""),
    "two resources": Line(GOOD + '{"resourceType": "Patient"}', {}, [("", "another resource behind")]),
    "a bracket too many": Line(GOOD + "]", {}, [("", BEHIND)]),
    "a brace too many": Line(GOOD + "}", {}, [("", BEHIND)]),
    "not UTF-8": Line(changed({'"Berg"': '"B\udcffrg"'}), {"family": ["B\ufffdrg", "B{o}rg"]}, [("", "bytes")]),
    # Resource types
    "no type": lost(changed({'"resourceType": "Patient"': '"type": "Patient"'}), "no", "resourceType"),
    "a number as type": lost(changed({'"Patient", "id"': '5, "id"'}), "no resourceType", "resourceType"),
    "a type that is none": lost(changed({'"Patient", "id"': '"Patent", "id"'}), "no resource type", "resourceType"),
    # Keys that occur twice
    "a type twice": Line(
        changed({'"active"': '"resourceType": "Patient", "active"'}), {}, [("Patient.resourceType", TWICE)]
    ),
    "a key twice": changes(
        '"female"', '"female", "gender": "male"', "gender", ["male"], ("Patient.gender", TWICE)
    ),
    "an array twice": Line(
        changed({'"gender"': '"name": [], "gender"'}),
        {"family": None, "given": None, "given_id": None},
        [("Patient.name", TWICE)],
    ),
    "a key twice in an item": changes(
        '"Berg"', '"Berg", "family": "Burg"', "family", ["Burg", "B{o}rg"], ("Patient.name[0].family", TWICE)
    ),
    "a key twice in a structure": changes(
        '"2020"', '"2020", "start": "2021"', "since", ["2021"], ("Patient.telecom[0].period.start", TWICE)
    ),
    "a key twice in a primitive's twin": changes(
        '"id": "g"', '"id": "g", "id": "h"', "given_id", ["h"], ("Patient.name[0]._given[1].id", TWICE)
    ),
    # Elements of another shape
    "a string for a boolean": changes(
        "true,", '"true",', "active", None, ("Patient.active", "a string where a boolean belongs")
    ),
    "a number for a boolean": changes("true,", "1,", "active", None, ("Patient.active", "a number where")),
    "a string for an integer": changes(
        '"rank": 1', '"rank": "1"', "rank", [2], ("Patient.telecom[0].rank", "a string where a whole number")
    ),
    "a fraction for an integer": changes(
        '"rank": 1', '"rank": 1.0', "rank", [2], ("Patient.telecom[0].rank", "a number where a whole number")
    ),
    "an integer of 33 bits": changes(
        "Integer\": 2", "Integer\": 4294967298", "births", None, ("Patient.multipleBirthInteger", "a number")
    ),
    "an integer of 65 bits": changes(
        "Integer\": 2", "Integer\": 36893488147419103234", "births", None, ("Patient.multipleBirthInteger", "a")
    ),
    "an integer of 2000 digits": lost(
        changed({"Integer\": 2": f"Integer\": {'2' * 2000}"}), "a number", "Patient.multipleBirthInteger"
    ),
    "an array for a string": changes(
        '"female"', '["female"]', "gender", ['["female"]'], ("Patient.gender", "an array where a string")
    ),
    "an object for a string": changes(
        '"female"', '{"a":1}', "gender", ['{"a":1}'], ("Patient.gender", "an object where a string belongs")
    ),
    "a number for a string": changes(
        '"female"', "17", "gender", ["17"], ("Patient.gender", "a number where a string belongs")
    ),
    "a boolean for a string": changes('"female"', "true", "gender", ["true"], ("Patient.gender", "a boolean")),
    "a number for a string in an array": changes(
        '"Ann", null, "10"', '"Ann", null, 11', "given", ["Ann", "11", "[x]"], ("Patient.name[0].given[2]", "a number")
    ),
    "a string for an array": changes(
        GIVEN, '"Ann"', "given", ["[x]"], ("Patient.name[0].given", "a string where an array belongs")
    ),
    "an object for an array": changes(
        '"link": [{', '"link": {"other": {}}, "links": [{', "link", None, ("Patient.link", "an object where")
    ),
    "an array for an object": changes(
        '{"start": "2020"}', '[{"start": "2020"}]', "since", None, ("Patient.telecom[0].period", "an array where")
    ),
    "a string for an object": changes(
        '{"start": "2020"}', '"2020"', "since", None, ("Patient.telecom[0].period", "a string where an object")
    ),
    "a string for a primitive extension": changes(
        '{"extension": [{"url": "time", "valueString": "dawn"}]}', '"dawn"', "birth_time", None,
        ("Patient._birthDate", "a string where an object belongs"),
    ),
    "an array in an array": changes(
        '{"reference": "Patient/twin"}', '[[{"reference": "Patient/twin"}]]', "link", None,
        ("Patient.link[0].other", "an array where an object belongs"),
    ),
    "a number among the objects of an array": changes(
        '"link": [{', '"link": [5, {', "link", None, ("Patient.link[0]", "a number where an object belongs")
    ),
    "a number in a contained resource": changes(
        '"Ward"', "7", "ward", ["7"], ("Patient.contained[0].name", "a number where a string belongs")
    ),
    "two wrong elements": Line(
        changed({'"female"': "5", '"1980-01-31"': "1980"}),
        {"gender": ["5"], "birth": ["1980"]},
        [("Patient.birthDate", "a number"), ("Patient.gender", "a number")],
    ),
}  # fmt: skip
NUMBERS = {name: index for index, name in enumerate(LINES)}


def text_of(name: str) -> bytes:
    """The line, with an id of its own."""
    text = LINES[name].text.replace('"id": "p"', f'"id": "p{NUMBERS[name]}"')
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Reading:
    """What came of one way of reading the lines: rows by id, and problems by number of the line."""

    way: str
    rows: Mapping[str, Row]
    problems: Mapping[int, list[tuple[str | None, str, str]]]


# Spark's JSON source reads bytes, and nothing of a line with bytes that are no text.
BYTE_WAYS = ("json source", "packed")
WAYS = (*BYTE_WAYS, "text", "frame")


@pytest.fixture(scope="module", params=WAYS)
def reading(
    spark: SparkSession, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Reading:
    folder = tmp_path_factory.mktemp("way") / "a b,[c]{d}%20"
    content = b"\n".join(map(text_of, LINES))
    if request.param == "frame":
        return read_frame(spark, list(map(text_of, LINES)))
    folder.mkdir()
    file = folder / "some patients.ndjson"
    if request.param == "packed":
        file = file.with_suffix(".ndjson.gz")
        content = gzip.compress(content)
    file.write_bytes(content)
    return read_files(spark, folder, request.param)


def read_files(spark: SparkSession, folder: Path, way: str) -> Reading:
    others = (
        []
        if way in BYTE_WAYS
        else [{"resource": "Device", "select": [{"column": [{"name": "id", "path": "id"}]}]}]
    )
    plan = compile_views([VIEW, *others])
    pattern = [f"{folder.parent}/a b*"]
    with plan.read(spark, pattern) as frames:
        rows = collected(frames[VIEW["name"]].collect())
    problems: dict[int, list[tuple[str | None, str, str]]] = {}
    for found in file_problems(spark, pattern, plan.needs):
        problem = found.problem
        assert "/a b,[c]{d}%20" in found.file
        problems.setdefault(found.line - 1, []).append((problem.id, problem.element, problem.reason))
    return Reading(way, rows, problems)


def read_frame(spark: SparkSession, lines: list[bytes]) -> Reading:
    frame = spark.createDataFrame(list(enumerate(map(bytearray, lines))), "line INT, bytes BINARY")
    frame = frame.selectExpr("line", "CAST(bytes AS STRING) AS resource")
    plan = compile_views([VIEW])
    with plan.run(frame) as frames:
        rows = collected(frames[VIEW["name"]].collect())
    problems: dict[int, list[tuple[str | None, str, str]]] = {}
    for found in plan.problems(frame, carry=["line"]).collect():
        problems.setdefault(found["line"], []).append((found["id"], found["element"], found["reason"]))
    return Reading("frame", rows, problems)


def collected(rows: Iterable[Any]) -> dict[str, Row]:
    return {(found["id"] or [""])[0]: found.asDict() for found in rows}


@pytest.mark.parametrize("name", LINES)
def test_a_line_gives_its_row_and_its_problems(reading: Reading, name: str) -> None:
    line, identifier = LINES[name], f"p{NUMBERS[name]}"
    lost_here = line.differs is None or (name == "not UTF-8" and reading.way in BYTE_WAYS)
    assert reading.rows.get(identifier) == (
        None if lost_here else {**row(identifier), **(line.differs or {})}
    )
    problems = reading.problems.get(NUMBERS[name], [])
    assert [element for _, element, _ in problems] == [element for element, _ in line.problems]
    for (who, _, reason), (_, beginning) in zip(problems, line.problems, strict=True):
        assert reason.startswith(beginning)
        assert who == (identifier if reason_has_id(reason) else None)


def reason_has_id(reason: str) -> bool:
    """Whether the line is enough of a resource for its id to be known."""
    return not reason.startswith(("not JSON", "not an object"))


def numbered(count: int) -> list[bytes]:
    return [json.dumps({"resourceType": "Patient", "id": f"p{number}"}).encode() for number in range(count)]


def ids_and_problems(spark: SparkSession, path: Path) -> tuple[list[str], list[tuple[int, str]]]:
    view = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}
    plan = compile_views([view])
    with plan.read(spark, [str(path)]) as frames:
        ids = sorted(found["id"] for found in frames["view_1"].collect())
    return ids, [
        (found.line, found.problem.reason) for found in file_problems(spark, [str(path)], plan.needs)
    ]


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz"])
def test_marks_blank_lines_and_line_ends_are_no_problems(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    first, second, third = numbered(3)
    content = b"\xef\xbb\xbf" + first + b"\r\n\r\n  \t \n" + second + b"\n\n" + third
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert ids_and_problems(spark, tmp_path) == (["p0", "p1", "p2"], [])


def test_a_mark_within_a_file_is_a_problem(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"\n".join([numbered(1)[0], b"\xef\xbb\xbf" + numbered(1)[0]]))
    _, problems = ids_and_problems(spark, tmp_path)
    assert problems == [(2, "a byte order mark before the resource")]


def test_nothing_to_read_is_no_problem(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").touch()
    assert ids_and_problems(spark, tmp_path) == ([], [])


def test_lines_are_counted_through_the_blocks_of_each_file(spark: SparkSession, tmp_path: Path) -> None:
    """Spark reads a file in blocks and several files in a task; the number of a line is that in its file."""
    lines, bad = numbered(100), {0, 7, 41, 42, 99}
    content = b"\n".join(b"gone" if number in bad else line for number, line in enumerate(lines))
    for name in ("a.ndjson", "b.ndjson", "c.ndjson"):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "d.ndjson").write_bytes(b"\n".join(lines))
    spark.conf.set("spark.sql.files.maxPartitionBytes", "1000")
    try:
        needs = compile_views([VIEW]).needs
        found = [(Path(p.file).name[0], p.line - 1) for p in file_problems(spark, [str(tmp_path)], needs)]
        some = file_problems(spark, [str(tmp_path)], needs, limit=3)
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert found == [(name, number) for name in "abc" for number in sorted(bad)]
    assert len(some) == 3


def test_the_problems_of_several_types_are_found_in_one_pass(spark: SparkSession) -> None:
    quantity = {"name": "v", "path": "value.ofType(Quantity).value"}
    plan = compile_views([VIEW, {"resource": "Observation", "select": [{"column": [quantity]}]}])
    lines = [
        GOOD,
        changed({'"female"': "5"}),
        '{"resourceType": "Observation", "id": "o", "valueQuantity": {"value": "1.5"}}',
        '{"resourceType": "Observation", "id": "o", "valueQuantity": {"value": 1.5, "value": 2}}',
        '{"resourceType": "Device", "id": "d", "patient": 5}',
        "gone",
    ]
    frame = spark.createDataFrame(list(enumerate(lines)), "line INT, resource STRING")
    problems = plan.problems(frame, carry=["line"])
    found = [(row["line"], row["resource_type"], row["id"], row["element"]) for row in problems.collect()]
    assert sorted(found, key=lambda problem: problem[0]) == [
        (1, "Patient", "p", "Patient.gender"),
        (2, "Observation", "o", "Observation.valueQuantity.value"),
        (3, "Observation", "o", "Observation.valueQuantity.value"),
        (5, None, None, ""),
    ]
