"""Functions of FHIRPath that work on text, and those that convert to and from it."""

from __future__ import annotations

from collections.abc import Mapping

from glue_jobs.sql_on_fhir import numeric
from glue_jobs.sql_on_fhir.calls import Entry, Use
from glue_jobs.sql_on_fhir.sql import case
from glue_jobs.sql_on_fhir.values import DATES, EMPTY, EMPTY_VALUE, NUMBERS, Value, boolean


def _join(use: Use) -> Value:
    source = use.source
    if source.type == EMPTY:
        return EMPTY_VALUE
    source = use.compiler.settle(use.node, source)
    if source.family != "text" and source.type not in NUMBERS | DATES | {"boolean", "time"}:
        raise use.wrong(f"join takes strings, not {source.type}")
    separator = use.compiler.item(use.node, use.argument()).sql if use.has() else "''"
    if not source.many:
        return Value(f"CAST({source.sql} AS STRING)", "string")
    # array_join passes over nulls itself; nothing at all to join is empty, not ''.
    array = (
        source.sql if source.family in ("text", "date", "time") else f"CAST({source.sql} AS ARRAY<STRING>)"
    )
    return Value(case((source.present, f"array_join({array}, {separator})")), "string")


def _text(use: Use, value: Value) -> str:
    item = use.compiler.item(use.node, value, "a string")
    if item.family != "text" and item.type != EMPTY:
        raise use.wrong(f"{use.node.name} takes a string, not a {item.type}")
    return "CAST(NULL AS STRING)" if item.type == EMPTY else item.sql


def _string_test(use: Use) -> Value:
    function = {"startsWith": "startswith", "endsWith": "endswith", "contains": "contains"}[use.node.name]
    return boolean(f"{function}({_text(use, use.source)}, {_text(use, use.argument())})")


def _matches(use: Use) -> Value:
    return boolean(f"({_text(use, use.source)} RLIKE {_text(use, use.argument())})")


def _string_function(use: Use) -> Value:
    return Value(f"{use.node.name}({_text(use, use.source)})", "string")


def _length(use: Use) -> Value:
    return Value(f"length({_text(use, use.source)})", "integer")


def _replace(use: Use) -> Value:
    parts = (_text(use, use.source), _text(use, use.argument(0)), _text(use, use.argument(1)))
    return Value(f"replace({', '.join(parts)})", "string")


def _substring(use: Use) -> Value:
    text = _text(use, use.source)
    start = use.compiler.item(use.node, use.argument(0), "a whole number").sql
    length = f", {use.compiler.item(use.node, use.argument(1)).sql}" if use.has(1) else ""
    inside = f"{start} >= 0 AND {start} < length({text})"
    return Value(case((inside, f"substring({text}, {start} + 1{length})")), "string")


def _to_string(use: Use) -> Value:
    item = use.compiler.item(use.node, use.source)
    return Value(numeric.lexical(item) if item.numeric else f"CAST({item.sql} AS STRING)", "string")


def _to_integer(use: Use) -> Value:
    item = use.compiler.item(use.node, use.source)
    if item.type == "boolean":
        return Value(f"CAST({item.sql} AS INT)", "integer")
    whole = f"CAST({item.sql} AS STRING) RLIKE '^[+-]?[0-9]+$'"
    return Value(case((whole, f"try_cast({item.sql} AS INT)")), "integer")


def _to_decimal(use: Use) -> Value:
    item = use.compiler.item(use.node, use.source)
    return Value(f"try_cast({item.sql} AS DECIMAL(38,15))", "decimal", numeric=True)


FUNCTIONS: Mapping[str, Entry] = {
    "join": (_join, 0, 1),
    "startsWith": (_string_test, 1, 1),
    "endsWith": (_string_test, 1, 1),
    "contains": (_string_test, 1, 1),
    "matches": (_matches, 1, 1),
    "upper": (_string_function, 0, 0),
    "lower": (_string_function, 0, 0),
    "trim": (_string_function, 0, 0),
    "length": (_length, 0, 0),
    "replace": (_replace, 2, 2),
    "substring": (_substring, 1, 2),
    "toString": (_to_string, 0, 0),
    "toInteger": (_to_integer, 0, 0),
    "toDecimal": (_to_decimal, 0, 0),
}
