"""Rows as lines of JSON in FHIR's own spelling: numbers as they were written, nulls left out."""

from __future__ import annotations

from collections.abc import Iterable

from glue_jobs.sql_on_fhir.columns import Output
from glue_jobs.sql_on_fhir.sql import case, quote_name, quote_text

_NUMBER = "^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?$"


def json_line(outputs: Iterable[Output]) -> str:
    """The expression of a row of these columns as a JSON object. For plans compiled with `lexical`."""
    members = []
    for output in outputs:
        name = quote_name(output.name)
        value = _array(output, name) if output.collection else _value(output.json, name)
        members.append(f"concat({quote_text(_json_key(output.name))}, {value})")
    return f"concat('{{', concat_ws(',', {', '.join(members)}), '}}')"


def _json_key(name: str) -> str:
    return f'"{name}":'


def _text(sql: str) -> str:
    """A JSON string; Spark writes JSON only for arrays and structs, so the brackets come off again."""
    array = f"to_json(array(CAST({sql} AS STRING)))"
    return case((f"{sql} IS NOT NULL", f"substring({array}, 2, length({array}) - 2)"))


def _value(kind: str, sql: str) -> str:
    text = f"CAST({sql} AS STRING)"
    if kind == "text":
        return _text(sql)
    if kind == "boolean":
        return text
    # Text where the data should have had a number stays readable as text.
    return case((f"{text} RLIKE {quote_text(_NUMBER)}", text), otherwise=_text(sql))


def _array(output: Output, sql: str) -> str:
    if output.json == "text":
        return f"to_json({sql})"
    items = f"transform({sql}, _v -> {_value(output.json, '_v')})"
    return f"concat('[', array_join({items}, ','), ']')"
