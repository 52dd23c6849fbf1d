"""From lines of JSON to the one struct column that every view of a resource type is computed from.

Two ways in. A frame of text goes through `from_json`; files can also go through Spark's JSON source, which parses
bytes instead of characters and is about a quarter faster. What both have in common, and why:

* The schema is the need of all views together; Spark's parser skips the rest of each line.
* Decimals must keep their lexical form. Spark 4 hands on the text of a number as it stands in a file; Spark 3.5 and
  `from_json` read it through a double, unless it is in quotes (see `decimals`). So files with decimals take the
  `from_json` way on Spark 3.5.
* `explode(array(...))` is a fence: Spark would copy `from_json` into every expression and filter above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glue_jobs.sql_on_fhir.decimals import exact_decimals
from glue_jobs.sql_on_fhir.needs import Need
from glue_jobs.sql_on_fhir.sql import named_struct, quote_name, quote_text
from glue_jobs.sql_on_fhir.steps import ROOT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CORRUPT = "_corrupt_record"
LINE = "value"


def schema(need: Need) -> str:
    """The schema of a resource type as DDL, with a place for lines that do not fit it."""
    return f"{need.fields_ddl()}, {quote_name(CORRUPT)} STRING"


def parsed_struct(need: Need, text: str) -> str:
    """The expression that parses a line."""
    line = exact_decimals(text, need)
    options = f"map('columnNameOfCorruptRecord', '{CORRUPT}')"
    return f"explode(array(from_json({line}, {quote_text(schema(need))}, {options})))"


def parse_frame(resources: DataFrame, need: Need, column: str, carry: Sequence[str]) -> DataFrame:
    """The resources of one type in a frame of text: the `carry` columns and the struct."""
    carried = [quote_name(name) for name in carry]
    parsed = resources.selectExpr(*carried, f"{parsed_struct(need, quote_name(column))} AS {ROOT}")
    return parsed.where(_is_type(need))


def parse_files(spark: SparkSession, paths: Sequence[str], need: Need, alone: bool) -> DataFrame:
    """The resources of one type in NDJSON files; `alone` says that no other type is asked for."""
    if not alone or (need.holders("decimal") and not keeps_numbers(spark)):
        return parse_frame(lines_of_type(spark.read.text(list(paths)), need, alone), need, LINE, ())
    frame = spark.read.schema(schema(need)).option("columnNameOfCorruptRecord", CORRUPT).json(list(paths))
    fields = [(name, quote_name(name)) for name in (*sorted(need.children), CORRUPT)]
    return frame.selectExpr(f"{named_struct(fields)} AS {ROOT}").where(_is_type(need))


def keeps_numbers(spark: SparkSession) -> bool:
    """Whether Spark's JSON source hands on numbers as they are written, as it does from version 4 on."""
    exact = "spark.sql.json.enableExactStringParsing"
    return int(spark.version.split(".")[0]) >= 4 and spark.conf.get(exact, "true") == "true"


def lines_of_type(lines: DataFrame, need: Need, alone: bool) -> DataFrame:
    """The lines that can be of the type: in a mix, most are told apart without parsing them."""
    if alone:
        return lines
    named = quote_text(f'"{need.fhir_type}"')
    return lines.where(f"contains({LINE}, {named}) OR contains({LINE}, {quote_text(chr(92) + 'u')})")


def _is_type(need: Need) -> str:
    return f"{ROOT}.resourceType = {quote_text(need.fhir_type)}"
