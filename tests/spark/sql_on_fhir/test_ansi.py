"""Data that ANSI mode (the default of Spark 4 and Glue 6.0) would stop a query for gives NULL in both modes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glue_jobs.sql_on_fhir import compile_views

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def value_of(spark: SparkSession, path: str, value: str, ansi_type: str = "") -> object:
    """The value of a column with this path for an Observation with this quantity, code and time."""
    column = {"name": "c", "path": path}
    tags = {"tag": [{"name": "ansi/type", "value": ansi_type}]} if ansi_type else {}
    view = {"resource": "Observation", "select": [{"column": [{**column, **tags}]}]}
    line = (
        '{"resourceType": "Observation", "id": "o", "effectiveDateTime": "2026-13-45T99:00:00Z", '
        f'"valueQuantity": {{"value": {value}, "unit": "none"}}}}'
    )
    resources = spark.createDataFrame([(line,)], "resource STRING")
    with compile_views([view]).run(resources) as frames:
        ((found,),) = frames["view_1"].collect()
    return found


QUANTITY = "value.ofType(Quantity).value"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{QUANTITY} / 0", "1.5"),
        (f"{QUANTITY} div 0", "1.5"),
        (f"{QUANTITY} mod 0", "1.5"),
        (f"{QUANTITY} div 0.000000001", "99999999999999999.5"),
        (f"{QUANTITY} + 1", "1e300"),
        ("2147483647 + 1", "1"),
        ("2147483647 * 2", "1"),
        ("1 div 0", "1"),
        ("1 mod 0", "1"),
        ("code.coding[3].code", "1"),
        ("value.ofType(Quantity).unit.toInteger()", "1"),
        ("value.ofType(Quantity).unit.toDecimal()", "1"),
        ("value.ofType(Quantity).unit.substring(9)", "1"),
    ],
)
def test_what_cannot_be_calculated_is_empty(spark_in_mode: SparkSession, path: str, value: str) -> None:
    assert value_of(spark_in_mode, path, value) is None


@pytest.mark.parametrize(
    ("path", "ansi_type"),
    [
        (QUANTITY, "INTEGER"),
        (QUANTITY, "DECIMAL(5,2)"),
        ("value.ofType(Quantity).unit", "INTEGER"),
        ("value.ofType(Quantity).unit", "DATE"),
        ("value.ofType(Quantity).unit", "BOOLEAN"),
        ("value.ofType(Quantity).unit", "DOUBLE"),
        ("effective.ofType(dateTime)", "TIMESTAMP"),
        ("effective.ofType(dateTime)", "DATE"),
    ],
)
def test_what_does_not_fit_the_asked_type_is_null(
    spark_in_mode: SparkSession, path: str, ansi_type: str
) -> None:
    assert value_of(spark_in_mode, path, "123456789012345.5", ansi_type) is None


@pytest.mark.parametrize(("edge", "value"), [("lowBoundary()", "-1e25"), ("highBoundary()", "1e25")])
def test_boundaries_beyond_the_decimals_of_spark_are_null(
    spark_in_mode: SparkSession, edge: str, value: str
) -> None:
    assert value_of(spark_in_mode, f"{QUANTITY}.{edge}", value) is None


def test_dates_that_do_not_exist_compare_as_unknown(spark_in_mode: SparkSession) -> None:
    assert value_of(spark_in_mode, "effective.ofType(dateTime) > @2026-01-01T00:00:00Z", "1") is None


def test_whole_division_still_divides(spark_in_mode: SparkSession) -> None:
    assert value_of(spark_in_mode, f"{QUANTITY} div 2", "7.5") == 3
