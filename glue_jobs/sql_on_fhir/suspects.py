"""Finding the lines worth diagnosing with native expressions only, so that good data costs no Python.

Spark itself notices broken JSON and objects, arrays, booleans or integers that are not what the schema says. It
accepts anything where text is expected, and turns it into text: a number shows as digits, an object as `{...}`.
So texts that look like that are suspects, unless the line holds the same text in quotes after the same key.
"""

from __future__ import annotations

from collections.abc import Iterator

from glue_jobs.sql_on_fhir.needs import STRING, STRUCT, Need
from glue_jobs.sql_on_fhir.sql import field, quote_text


def suspicion(need: Need, parsed: str, line: str, corrupt: str) -> str:
    """True for a line that may have a problem; false for one that surely has none that views would notice."""
    tests = [f"{parsed}.{corrupt} IS NOT NULL", f"{parsed}.resourceType IS NULL"]
    tests += _tests(need, parsed, line, 0)
    keys = f"json_object_keys({line})"
    tests.append(f"size({keys}) <> size(array_distinct({keys}))")
    return " OR ".join(f"coalesce({test}, false)" for test in tests)


def _tests(need: Need, source: str, line: str, depth: int) -> Iterator[str]:
    for key, child in sorted(need.children.items()):
        value = field(source, key)
        if child.repeats:
            name = f"_s{depth}"
            inner = list(_item_tests(child, name, key, line, depth + 1))
            if inner:
                yield f"exists({value}, {name} -> {' OR '.join(inner)})"
        else:
            yield from _item_tests(child, value, key, line, depth)


def _item_tests(need: Need, value: str, key: str, line: str, depth: int) -> Iterator[str]:
    if need.kind == STRUCT:
        yield from _tests(need, value, line, depth)
    elif need.kind == STRING:
        yield (_odd_decimal if need.fhir_type == "decimal" else _odd_text)(value, key, line)


def _odd_decimal(value: str, key: str, line: str) -> str:
    """A decimal is read as text, so text where a number belongs has to be looked for."""
    return f"(try_cast({value} AS DOUBLE) IS NULL OR {_quoted_in(line, key, value)})"


def _quoted_in(line: str, key: str, value: str) -> str:
    """Whether the line holds the value in quotes after the key, as JSON is usually spaced."""
    starts = (quote_text(f'"{key}":{space}"') for space in ("", " "))
    return (
        "(" + " OR ".join(f"contains({line}, concat({start}, {value}, '\u0022'))" for start in starts) + ")"
    )


def _odd_text(value: str, key: str, line: str) -> str:
    """Comparisons of the first character settle nearly all; only what is left is looked up in the line."""
    looks = (
        f"({value} < ':' AND translate({value}, '0123456789+-.eE', '') = '')"
        f" OR {value} >= '{{' OR {value} LIKE '[%' OR {value} IN ('true', 'false')"
    )
    return f"(({looks}) AND NOT {_quoted_in(line, key, value)})"
