"""What a column holds in Spark: the SQL of its value, its Spark type and how it is written as JSON.

The mapping of types is the specification's: decimals, dates and times are text, exactly as they were written.
A tag `ansi/type` asks for another type; a value that does not fit it is NULL, and counted (`misfit`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from glue_jobs.sql_on_fhir import numeric
from glue_jobs.sql_on_fhir.compiler import Compiler, single_item
from glue_jobs.sql_on_fhir.errors import ViewDefinitionError
from glue_jobs.sql_on_fhir.sql import case
from glue_jobs.sql_on_fhir.syntax import Node
from glue_jobs.sql_on_fhir.values import EMPTY, INTEGERS, TEXT, Value
from glue_jobs.sql_on_fhir.views import Column

_SPARK_TYPES: Mapping[str, str] = {
    "boolean": "BOOLEAN",
    "integer": "INT",
    "positiveInt": "INT",
    "unsignedInt": "INT",
    "integer64": "BIGINT",
    "instant": "TIMESTAMP",
    "base64Binary": "BINARY",
}
_ANSI = re.compile(
    r"\s*([A-Z]+(?: [A-Z]+)*?)\s*(\(\s*\d+\s*(?:,\s*\d+\s*)?\))?(\s+WITH(?:OUT)? TIME ZONE)?\s*", re.I
)
_ANSI_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("CHARACTER VARYING", "CHAR VARYING", "VARCHAR", "CHARACTER", "CHAR"), "STRING"),
    **dict.fromkeys(("TEXT", "STRING", "CHARACTER LARGE OBJECT", "CLOB", "NVARCHAR", "TIME"), "STRING"),
    **dict.fromkeys(("INT", "INTEGER"), "INT"),
    **dict.fromkeys(("DOUBLE", "DOUBLE PRECISION"), "DOUBLE"),
    **dict.fromkeys(("REAL", "FLOAT"), "FLOAT"),
    **dict.fromkeys(("BINARY", "VARBINARY", "BINARY VARYING", "BINARY LARGE OBJECT", "BLOB"), "BINARY"),
    **{name: name for name in ("SMALLINT", "BIGINT", "BOOLEAN", "DATE", "TIMESTAMP")},
}


@dataclass(frozen=True)
class Output:
    """One compiled column. `json` says how a JSON writer spells it: as text, number, boolean or raw JSON."""

    name: str
    sql: str
    spark_type: str
    fhir_type: str
    collection: bool
    json: str
    misfit: str | None = None


def compile_column(compiler: Compiler, node: Node, column: Column, value: Value, lexical: bool) -> Output:
    """The output of a column; `lexical` keeps every value in its FHIR form, for JSON and for tests."""
    value = _resolved(compiler, node, column, value)
    fhir_type = column.type or EMPTY if value.type == EMPTY else value.type
    if value.need is not None:
        raise compiler.unsupported(node, f"a column of the structure {value.type}: name its elements, or it")
    if column.collection:
        text, item = value.array, compiler.scope.fresh("c")
        converted, kind = _converted(value.single(item), column, lexical)
        sql = text if converted == item else f"transform({text}, {item} -> {converted})"
        return Output(column.name, _or_null(sql), f"ARRAY<{kind}>", fhir_type, True, _json(fhir_type, kind))
    single = value
    if value.many:
        message = f"several values for column {column.name} ({column.path}), which is not a collection"
        single = value.single(single_item(value, message))
    converted, kind = _converted(single, column, lexical)
    misfit = None
    if column.ansi_type and converted != single.sql and not lexical:
        misfit = f"({single.sql} IS NOT NULL AND {converted} IS NULL)"
    return Output(column.name, converted, kind, fhir_type, False, _json(fhir_type, kind), misfit)


def _or_null(array: str) -> str:
    """No values at all are NULL, as the processing model has it for every column."""
    return case((f"size({array}) > 0", array))


def _resolved(compiler: Compiler, node: Node, column: Column, value: Value) -> Value:
    """A column over a whole choice takes the type that the column declares."""
    if value.choice is not None and column.type in value.choice.types:
        return compiler.of_type(node, value, column.type)
    return compiler.settle(node, value)


def _json(fhir_type: str, spark_type: str) -> str:
    if fhir_type in INTEGERS or fhir_type == "decimal":
        return "number"
    return "boolean" if spark_type == "BOOLEAN" else "text"


def _converted(value: Value, column: Column, lexical: bool) -> tuple[str, str]:
    """The SQL and the Spark type of a value."""
    if value.type == EMPTY:
        tagged = column.ansi_type and not lexical
        kind = ansi_to_spark(column) if tagged else _spark_type(column.type or "string", lexical)
        return f"CAST(NULL AS {kind})", kind
    plain = numeric.lexical(value)
    if lexical or not column.ansi_type:
        kind = _spark_type(value.type, lexical)
        return _cast(value, plain, kind), kind
    kind = ansi_to_spark(column)
    return _cast_by_tag(value, plain, kind), kind


def _spark_type(fhir_type: str, lexical: bool) -> str:
    kind = _SPARK_TYPES.get(fhir_type, "STRING")
    return "STRING" if lexical and kind in ("TIMESTAMP", "BINARY") else kind


def _cast(value: Value, sql: str, kind: str) -> str:
    if value.type == "instant" and kind == "TIMESTAMP":
        return f"try_cast({sql} AS TIMESTAMP)"
    if value.type == "base64Binary" and kind == "BINARY":
        return f"try_to_binary({sql}, 'base64')"
    return sql


def ansi_to_spark(column: Column) -> str:
    """The Spark type of an `ansi/type` tag."""
    match = _ANSI.fullmatch(column.ansi_type or "")
    name = re.sub(r"\s+", " ", match.group(1)).upper() if match else ""
    if name in ("DECIMAL", "NUMERIC", "DEC"):
        return "DECIMAL" + re.sub(r"\s", "", match.group(2) or "(38,0)" if match else "")
    if name not in _ANSI_TYPES:
        raise ViewDefinitionError(
            f"ansi/type {column.ansi_type!r} is not supported; use one of DECIMAL, {', '.join(_ANSI_TYPES)}",
            location=column.location.removesuffix(".path") + ".tag",
        )
    zone = (match.group(3) or "").strip().upper() if match else ""
    return "TIMESTAMP_NTZ" if name == "TIMESTAMP" and zone == "WITHOUT TIME ZONE" else _ANSI_TYPES[name]


def _cast_by_tag(value: Value, sql: str, kind: str) -> str:
    if kind == "STRING" and value.family in ("text", "date", "time", "number") and value.type not in INTEGERS:
        return sql
    if value.family == "date" and kind == "DATE":
        # A partial date is not the first day of its month. Of a dateTime, the day as written counts.
        return case((f"length({sql}) >= 10", f"try_cast(left({sql}, 10) AS DATE)"))
    if value.family == "date" and kind in ("TIMESTAMP", "TIMESTAMP_NTZ"):
        return case((f"length({sql}) >= 16", f"try_cast({sql} AS {kind})"))
    if value.type in TEXT and kind == "BINARY":
        return f"try_to_binary({sql}, 'base64')"
    if kind == "BINARY":
        return f"CAST(CAST({sql} AS STRING) AS BINARY)"
    return f"try_cast({sql} AS {kind})"


def same_type(left: Output, right: Output) -> bool:
    """Whether two branches of a union agree on a column."""
    return (left.spark_type, left.json) == (right.spark_type, right.json)
