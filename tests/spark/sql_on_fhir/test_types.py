"""What columns hold in Spark: FHIR's own text by default, the type that a tag asks for where there is one."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from glue_jobs.sql_on_fhir import compile_views

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

UTC = datetime.UTC
OBSERVATION = (
    '{"resourceType": "Observation", "id": "o", "status": "final", "issued": "2020-02-29T10:00:00.5+02:00",'
    ' "effectiveDateTime": "2020-02-29T10:00:00+02:00", "valueQuantity": {"value": 1.50},'
    ' "extension": [{"url": "d", "valueDate": "2020-02"}, {"url": "D", "valueDate": "2020-02-29"},'
    ' {"url": "b", "valueBase64Binary": "QUI="}, {"url": "t", "valueTime": "10:00:00"},'
    ' {"url": "i", "valueInteger": 7}, {"url": "p", "valuePositiveInt": 8}, {"url": "f", "valueBoolean": false},'
    ' {"url": "l", "valueInteger64": "9007199254740993"}, {"url": "n", "valueDecimal": 1e3},'
    ' {"url": "s", "valueString": "12"}, {"url": "y", "valueDateTime": "2020"}]}'
)
VALUE = "extension('{}').value.ofType({})"

# name: (path, ansi/type or "", Spark type, value)
COLUMNS: dict[str, tuple[str, str, str, Any]] = {
    "boolean": (VALUE.format("f", "boolean"), "", "boolean", False),
    "integer": (VALUE.format("i", "integer"), "", "int", 7),
    "positive": (VALUE.format("p", "positiveInt"), "", "int", 8),
    "long": (VALUE.format("l", "integer64"), "", "bigint", 9007199254740993),
    "decimal": ("value.ofType(Quantity).value", "", "string", "1.50"),
    "exponent": (VALUE.format("n", "decimal"), "", "string", "1e3"),
    "sum": ("value.ofType(Quantity).value + 1", "", "string", "2.5"),
    "partial_date": (VALUE.format("d", "date"), "", "string", "2020-02"),
    "date_time": ("effective.ofType(dateTime)", "", "string", "2020-02-29T10:00:00+02:00"),
    "time": (VALUE.format("t", "time"), "", "string", "10:00:00"),
    "code": ("status", "", "string", "final"),
    "instant": ("issued", "", "timestamp", datetime.datetime(2020, 2, 29, 8, 0, 0, 500000)),
    "binary": (VALUE.format("b", "base64Binary"), "", "binary", bytearray(b"AB")),
    "as_decimal": ("value.ofType(Quantity).value", "DECIMAL(10, 3)", "decimal(10,3)", Decimal("1.500")),
    "as_double": ("value.ofType(Quantity).value", "DOUBLE PRECISION", "double", 1.5),
    "as_text": (VALUE.format("i", "integer"), "CHARACTER VARYING(20)", "string", "7"),
    "as_date": (VALUE.format("D", "date"), "DATE", "date", datetime.date(2020, 2, 29)),
    "partial_as_date": (VALUE.format("d", "date"), "DATE", "date", None),
    "day_of_time": ("effective.ofType(dateTime)", "DATE", "date", datetime.date(2020, 2, 29)),
    "as_time": (
        *("effective.ofType(dateTime)", "TIMESTAMP WITH TIME ZONE", "timestamp"),
        datetime.datetime(2020, 2, 29, 8, 0, 0),
    ),
    "partial_as_time": (VALUE.format("y", "dateTime"), "TIMESTAMP", "timestamp", None),
    "text_as_integer": (VALUE.format("s", "string"), "INTEGER", "int", 12),
    "too_large": (VALUE.format("l", "integer64"), "INTEGER", "int", None),
    "as_small": (VALUE.format("i", "integer"), "SMALLINT", "smallint", 7),
    "as_big": (VALUE.format("i", "integer"), "BIGINT", "bigint", 7),
    "as_boolean": (VALUE.format("f", "boolean"), "BOOLEAN", "boolean", False),
}


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> dict[str, tuple[str, Any]]:
    """Spark type and value of every column, from one row."""
    columns = [
        {"name": name, "path": path, **({"tag": [{"name": "ansi/type", "value": tag}]} if tag else {})}
        for name, (path, tag, _, _) in COLUMNS.items()
    ]
    plan = compile_views([{"resource": "Observation", "select": [{"column": columns}]}])
    with plan.run(spark.createDataFrame([(OBSERVATION,)], "resource STRING")) as frames:
        frame = frames["view_1"]
        (row,) = frame.collect()
        return {field.name: (field.dataType.simpleString(), row[field.name]) for field in frame.schema}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_has_its_type_and_value(found: dict[str, tuple[str, Any]], name: str) -> None:
    _, _, spark_type, value = COLUMNS[name]
    kind, actual = found[name]
    if isinstance(actual, datetime.datetime):  # local to this process, as PySpark has it
        actual = actual.astimezone(UTC).replace(tzinfo=None)
    assert (kind, actual) == (spark_type, value)


def test_what_does_not_fit_a_tag_is_counted() -> None:
    tag = {"name": "ansi/type", "value": "DATE"}
    column = {"name": "c", "path": "birthDate", "tag": [tag]}
    (view,) = compile_views([{"resource": "Patient", "select": [{"column": [column]}]}]).views.values()
    assert view.outputs[0].misfit is not None


def test_each_branch_of_a_union_has_the_type_of_its_tag(spark: SparkSession) -> None:
    tag = {"tag": [{"name": "ansi/type", "value": "DATE"}]}
    branches = [
        {"column": [{"name": "d", "path": path, **tag}]}
        for path in ("birthDate", "deceased.ofType(dateTime)")
    ]
    plan = compile_views([{"resource": "Patient", "select": [{"unionAll": branches}]}])
    patient = {"resourceType": "Patient", "birthDate": "1980-01", "deceasedDateTime": "2020-02-29T10:00:00Z"}
    with plan.run(spark.createDataFrame([(json.dumps(patient),)], "resource STRING")) as frames:
        assert sorted(map(str, frames["view_1"].collect())) == [
            "Row(d=None)",
            "Row(d=datetime.date(2020, 2, 29))",
        ]
