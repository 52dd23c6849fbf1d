"""What a plan hands to Spark: the schema it reads, how often it parses, how many jobs it starts, and no Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glue_jobs.sql_on_fhir import Plan, compile_views
from glue_jobs.sql_on_fhir.errors import ViewDefinitionError
from glue_jobs.sql_on_fhir.steps import Unnest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

CASES = Path(__file__).parents[2] / "conformance/cases"


def view(resource: str, *paths: str, name: str = "v", **iteration: object) -> dict[str, Any]:
    columns = [{"name": f"c{index}", "path": path, "collection": True} for index, path in enumerate(paths)]
    return {"name": name, "resource": resource, "select": [{**iteration, "column": columns}]}


NAMES = view("Patient", "family", "given.first()", name="names", forEach="name")
PHONES = view("Patient", "value", "%rowIndex", name="phones", forEachOrNull="telecom.where(system = 'phone')")
PLAIN = view("Patient", "id", "active", "birthDate", name="plain")
QUANTITIES = view("Observation", "value.ofType(Quantity).value", name="quantities")
ITEMS = view("Questionnaire", "linkId", "text", name="items", repeat=["item"])
ANSWERS = view("QuestionnaireResponse", "linkId", name="answers", repeat=["item", "answer.item"])
TEXTS = view("QuestionnaireResponse", "text", "item.definition", name="texts", forEach="item.answer.item")
TAGGED = view("Observation", "value.extension.exists()", name="tagged")
TAGS = view("Observation", "value.ofType(Quantity).extension.url", name="tags")


def questionnaire(depth: int) -> dict[str, Any]:
    item: dict[str, Any] = {"linkId": "1"}
    for level in range(2, depth + 1):
        item = {"linkId": str(level), "item": [item]}
    return {"resourceType": "Questionnaire", "id": "q", "item": [item]}


RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "p", "name": [{"family": "Berg"}], "telecom": [{"system": "phone"}]},
    {"resourceType": "Observation", "id": "o", "valueQuantity": {"value": 1.5}},
    questionnaire(3),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = "".join(json.dumps(resource) + "\n" for resource in RESOURCES)
    (tmp_path / "resources.ndjson").write_text(lines)
    return tmp_path


UNCUT = {"spark.sql.maxPlanStringLength": str(2**30), "spark.sql.debug.maxToStringFields": "10000"}


def physical(frame: DataFrame) -> str:
    """The physical plan, with that of cached frames inside, uncut."""
    conf = frame.sparkSession.conf
    before = {name: conf.get(name) for name in UNCUT}
    for name, value in UNCUT.items():
        conf.set(name, value)
    try:
        return str(frame._jdf.queryExecution().executedPlan().treeString())
    finally:
        for name, held in before.items():
            conf.set(name, str(held))


@contextmanager
def jobs(spark: SparkSession) -> Iterator[list[int]]:
    """The ids of the Spark jobs that start within the block."""
    found: list[int] = []
    spark.sparkContext.setJobGroup("counted", "jobs of one test")
    before = set(spark.sparkContext.statusTracker().getJobIdsForGroup("counted"))
    try:
        yield found
    finally:
        found += set(spark.sparkContext.statusTracker().getJobIdsForGroup("counted")) - before
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("views", "schema"),
    [
        ([PLAIN], "`active` BOOLEAN, `birthDate` STRING, `id` STRING, `resourceType` STRING"),
        (
            [NAMES],
            "`id` STRING, `name` ARRAY<STRUCT<`family`: STRING, `given`: ARRAY<STRING>>>, `resourceType` STRING",
        ),
        (
            [view("Patient", "name.exists()", "deceased.exists()", "birthDate.extension('x').exists()")],
            "`_birthDate` STRUCT<`extension`: ARRAY<STRUCT<`url`: STRING>>>, `birthDate` STRING, "
            "`deceasedBoolean` BOOLEAN, `deceasedDateTime` STRING, `id` STRING, `name` ARRAY<STRUCT<>>, `resourceType` STRING",
        ),
        (
            [QUANTITIES],
            "`id` STRING, `resourceType` STRING, `valueQuantity` STRUCT<`value`: STRING>",
        ),
        (
            [view("Observation", "subject.getReferenceKey(Patient)", "value.ofType(Coding).code")],
            "`id` STRING, `resourceType` STRING, `subject` STRUCT<`reference`: STRING>",
        ),
        (
            [PLAIN, view("Patient", "active", "name.family", name="other")],
            "`active` BOOLEAN, `birthDate` STRING, `id` STRING, `name` ARRAY<STRUCT<`family`: STRING>>, "
            "`resourceType` STRING",
        ),
    ],
    ids=["plain", "forEach", "existence", "choice", "a type that never occurs", "two views together"],
)
def test_the_schema_holds_only_what_the_views_read(views: list[dict[str, Any]], schema: str) -> None:
    ((_, need),) = compile_views(views).needs.items()
    assert need.fields_ddl() == schema


def test_what_a_where_reads_is_in_the_schema() -> None:
    plan = compile_views([{**PLAIN, "where": [{"path": "gender = 'female'"}]}])
    assert "gender" in plan.needs["Patient"].children


def test_each_resource_type_has_a_schema_of_its_own() -> None:
    plan = compile_views([PLAIN, QUANTITIES, NAMES])
    assert sorted(plan.needs) == ["Observation", "Patient"]
    assert "name" not in plan.needs["Observation"].children


def test_a_plan_is_lazy_and_each_view_alone_is_one_job(spark: SparkSession, folder: Path) -> None:
    with jobs(spark) as planning:
        frames = compile_views([PLAIN]).read(spark, [str(folder)])
    with jobs(spark) as running:
        assert len(frames["plain"].collect()) == 1
    assert (len(planning), len(running)) == (0, 1)


def test_a_repeat_is_as_lazy_as_any_view(spark: SparkSession, folder: Path) -> None:
    with jobs(spark) as planning:
        frames = compile_views([ITEMS]).read(spark, [str(folder)])
    with jobs(spark) as running:
        assert [row[0] for row in frames["items"].collect()] == [["3"], ["2"], ["1"]]
    assert (len(planning), len(running)) == (0, 1)


def nested(resource: str, depth: int, *keys: str) -> str:
    """Items in items by the keys in turn, as text: Python writes no JSON as deep as this."""
    text = f'{{"linkId": "{depth}"}}'
    for level in range(depth - 1, 0, -1):
        below = f'"item": [{text}]'
        if keys[level % len(keys)] == "answer":
            below = f'"answer": [{{{below}}}]'
        text = f'{{"linkId": "{level}", {below}}}'
    return f'{{"resourceType": "{resource}", "item": [{text}]}}'


# Spark's parser reads 1,000 levels of objects and arrays: 2 for an item in an item, 4 for one in an answer.
@pytest.mark.parametrize(
    ("definition", "line", "depth"),
    [
        (ITEMS, nested("Questionnaire", 499, "item"), 499),
        (ANSWERS, nested("QuestionnaireResponse", 300, "item", "answer"), 300),
    ],
    ids=["one path", "two paths"],
)
def test_a_repeat_goes_as_deep_as_spark_reads(
    spark: SparkSession, definition: dict[str, Any], line: str, depth: int
) -> None:
    lines = spark.createDataFrame([(line,)], "resource STRING")
    with compile_views([definition]).run(lines) as frames:
        (rows,) = (frame.collect() for frame in frames.values())
    assert [row[0] for row in rows] == [[str(level)] for level in range(1, depth + 1)]


def test_the_schema_and_the_sql_of_a_repeat_know_no_levels() -> None:
    plan = compile_views([ANSWERS])
    assert plan.needs["QuestionnaireResponse"].fields_ddl() == (
        "`id` STRING, `item` ARRAY<STRING>, `resourceType` STRING"
    )
    (unnest,) = plan.views["answers"].steps
    assert isinstance(unnest, Unnest)
    assert len(unnest.generator) < 3_000


def test_paths_may_lead_through_each_other(spark: SparkSession) -> None:
    lines = spark.createDataFrame([(json.dumps(questionnaire(3)),)], "resource STRING")
    through = view("Questionnaire", "linkId", "%rowIndex", repeat=["item", "item.item"])
    with compile_views([through]).run(lines) as frames:
        found = [(row[0][0], row[1][0]) for row in frames["v"].collect()]
    # 3 with all below it by `item`, that is 2, 1 and by `item.item` 1; then the same for what `item.item` gives.
    assert found == list(zip("321121", range(6), strict=True))


INNER = {"linkId": "1.1", "text": "x", "item": [{"linkId": "1.1.1", "definition": "d"}]}
ANSWERED = {"resourceType": "QuestionnaireResponse", "item": [{"linkId": "1", "answer": [{"item": [INNER]}]}]}
MEASURED = {"resourceType": "Observation", "valueQuantity": {"extension": [{"url": "u"}]}}


@pytest.mark.parametrize(
    ("resource", "views", "rows"),
    [
        (
            ANSWERED,
            [ANSWERS, TEXTS],
            {"answers": [(["1"],), (["1.1"],), (["1.1.1"],)], "texts": [(["x"], ["d"])]},
        ),
        (MEASURED, [TAGGED, TAGS], {"tagged": [([True],)], "tags": [(["u"],)]}),
    ],
    ids=["the nodes of a repeat", "the types of a choice"],
)
def test_what_is_alike_stays_alike_when_another_view_reads_more_of_one(
    spark: SparkSession, resource: dict[str, Any], views: list[dict[str, Any]], rows: dict[str, Any]
) -> None:
    lines = spark.createDataFrame([(json.dumps(resource),)], "resource STRING")
    for order in (views, views[::-1]):
        with compile_views(order).run(lines) as frames:
            assert {name: [tuple(row) for row in frame.collect()] for name, frame in frames.items()} == rows


@pytest.mark.parametrize("source", ["files", "frame"])
def test_all_views_of_a_type_are_answered_from_one_parse(
    spark: SparkSession, folder: Path, source: str
) -> None:
    plan = compile_views([PLAIN, NAMES, PHONES])
    with _frames(spark, plan, folder, source) as frames:
        assert [parses(physical(frame)) for frame in frames.values()] == [1, 1, 1]
        rows = {name: frame.count() for name, frame in frames.items()}
        # Nothing is read again: the file may go.
        (folder / "resources.ndjson").unlink()
        assert {name: len(frame.collect()) for name, frame in frames.items()} == rows
    assert rows == {"plain": 1, "names": 1, "phones": 1}


def test_views_of_several_types_parse_once_per_type(spark: SparkSession, folder: Path) -> None:
    plan = compile_views([PLAIN, QUANTITIES, NAMES])
    with plan.read(spark, [str(folder)]) as frames:
        together = frames["plain"].select("c0").unionAll(frames["names"].select("c0"))
        together = together.unionAll(frames["quantities"].select("c0"))
        text = physical(together)
    # The two views of Patient show the one cached parse twice.
    assert text.count("InMemoryTableScan") == 2
    assert parses(text) == 3


def parses(plan: str) -> int:
    """How many places of a physical plan parse JSON."""
    return plan.count("from_json(") + plan.count("FileScan json")


@contextmanager
def _frames(spark: SparkSession, plan: Plan, folder: Path, source: str) -> Iterator[Mapping[str, DataFrame]]:
    if source == "files":
        with plan.read(spark, [str(folder)]) as frames:
            yield frames
        return
    lines = spark.read.text(str(folder)).withColumnRenamed("value", "resource")
    with plan.run(lines) as frames:
        yield frames


def _valid_views() -> Iterable[tuple[str, list[dict[str, Any]]]]:
    """The views of our conformance cases, by file."""
    for file in (CASES / f"{name}.json" for name in ("combinations", "functions", "values", "types")):
        yield file.stem, [test["view"] for test in json.loads(file.read_text())["tests"] if "expect" in test]


def _compilable(views: Sequence[dict[str, Any]]) -> Plan:
    named = [{**definition, "name": f"v{index}"} for index, definition in enumerate(views)]
    try:
        return compile_views(named)
    except ViewDefinitionError as error:
        pytest.fail(str(error))


@pytest.mark.parametrize(
    ("file", "views"), _valid_views(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_view_runs_python(
    spark: SparkSession, tmp_path: Path, file: str, views: list[dict[str, Any]]
) -> None:
    (tmp_path / "none.ndjson").touch()
    lines = spark.read.text(str(tmp_path)).withColumnRenamed("value", "resource")
    with _compilable(views).run(lines) as frames:
        for frame in frames.values():
            plan = physical(frame)
            assert parses(plan) > 0
            assert re.search("EvalPython|PythonUDF|InPandas|InArrow", plan) is None
