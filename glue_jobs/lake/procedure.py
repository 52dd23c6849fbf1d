"""Iceberg's stored procedures, called with Python's values.

https://iceberg.apache.org/docs/1.10.0/spark-procedures/
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.lake.tables import literal


def call_procedure(spark: SparkSession, name: str, full_name: str, **arguments: object) -> list[Any]:
    """Call a procedure on a table (``catalog.database.table``); the rows it gives.

    ``arguments`` are texts of SQL, times, and maps of options.
    """
    catalog, _, table = full_name.partition(".")
    given = [f"table => {literal(table)}"]
    given += [f"{each} => {_argument(value)}" for each, value in arguments.items()]
    return spark.sql(f"call {catalog}.system.{name}({', '.join(given)})").collect()


def _argument(value: object) -> str:
    if isinstance(value, datetime):
        return f"timestamp {literal(value.astimezone(UTC).isoformat(sep=' ', timespec='milliseconds'))}"
    if isinstance(value, dict):
        pairs = (f"{literal(str(key))}, {literal(str(each))}" for key, each in value.items())
        return f"map({', '.join(pairs)})"
    return str(value)
