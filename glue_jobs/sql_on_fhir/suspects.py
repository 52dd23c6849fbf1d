"""Finding the lines worth diagnosing with native expressions only, so that good data costs no Python.

Spark itself notices broken JSON and objects, arrays, booleans or integers that are not what the schema says. What it
does not notice is looked for:

* Text behind the resource, and keys that occur twice. Spark reads the first resource of a line and the last of equal
  keys, but a map read from JSON keeps every key, and an array around the line only ends where the line does.
* Anything where text is expected, which Spark turns into text: a number shows as digits, an object as `{...}`. So
  texts that look like that are suspects, unless the line holds the same text in quotes after the same key.
"""

from __future__ import annotations

from collections.abc import Iterator

from glue_jobs.sql_on_fhir.needs import STRING, STRUCT, TEXT, Need
from glue_jobs.sql_on_fhir.sql import field, quote_name, quote_text

_MAP = "MAP<STRING, STRING>"
_NUMBER = quote_text("^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?$")
_BARE_WORDS = ("true", "false", "NaN", "Infinity", "-Infinity", "INF", "-INF", "+INF")


def line_keys(line: str) -> str:
    """The line in an array, with an empty object behind it, and each of the two as a map of its keys.

    NULL where the line is not one JSON value; more than two where it is several.
    """
    return f"from_json(concat('[', {line}, ',{{}}]'), 'ARRAY<{_MAP}>')"


def odd_line(keys: str) -> str:
    """True where a line is not one object, or one of its keys occurs twice. `keys` is what `line_keys` gave."""
    return f"coalesce(size({keys}) <> 2 OR {_repeats(f'get({keys}, 0)')}, true)"


def kind_of_line(keys: str) -> str:
    """The resourceType of a line."""
    return f"try_element_at(get({keys}, 0), 'resourceType')"


def suspicion(need: Need, parsed: str, line: str) -> str:
    """True for a parsed line with a text that may have been none."""
    return _any(_tests(need, parsed, line, 0))


def key_schemas(need: Need) -> list[str]:
    """Schemas that read the structures below a resource as maps: those of the first level, of the second, ..."""
    found: list[str] = []
    while fields := _key_fields(need, len(found)):
        found.append(f"STRUCT<{fields}>")
    return found


def repeated_keys(need: Need, parsed: str, level: int) -> str:
    """True where a structure of a level repeats a key; `parsed` was read with that one of the `key_schemas`."""
    return _any(_key_tests(need, parsed, level, 0))


def _any(tests: Iterator[str]) -> str:
    return " OR ".join(f"coalesce({test}, false)" for test in tests) or "false"


# Keys ---------------------------------------------------------------------------------------------------------


def _repeats(keys: str) -> str:
    return f"size(map_keys({keys})) <> size(array_distinct(map_keys({keys})))"


def _structs(need: Need) -> Iterator[tuple[str, Need]]:
    return ((key, child) for key, child in sorted(need.children.items()) if child.children)


def _key_fields(need: Need, level: int) -> str:
    """The fields of a schema that reaches the structures of a level, empty where there are none."""
    found = []
    for key, child in _structs(need):
        inner = _MAP if level == 0 else _key_fields(child, level - 1)
        if inner:
            inner = inner if level == 0 else f"STRUCT<{inner}>"
            found.append(
                f"{quote_name(key)}: ARRAY<{inner}>" if child.repeats else f"{quote_name(key)}: {inner}"
            )
    return ", ".join(found)


def _key_tests(need: Need, source: str, level: int, depth: int) -> Iterator[str]:
    for key, child in _structs(need):
        if level and not _key_fields(child, level - 1):
            continue
        value = field(source, key)
        item = f"_k{depth}" if child.repeats else value
        inner = [_repeats(item)] if level == 0 else list(_key_tests(child, item, level - 1, depth + 1))
        test = " OR ".join(f"coalesce({test}, false)" for test in inner)
        yield f"exists({value}, {item} -> {test})" if child.repeats else f"({test})"


# Texts --------------------------------------------------------------------------------------------------------


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
    elif need.kind == TEXT:
        # Deeper than was written out: there, Python is to look.
        yield f"{value} IS NOT NULL"
    elif need.kind == STRING:
        yield (_odd_decimal if need.fhir_type == "decimal" else _odd_text)(value, key, line)


def _odd_decimal(value: str, key: str, line: str) -> str:
    """A decimal is read as text, so text where a number belongs has to be looked for."""
    return f"(NOT {value} RLIKE {_NUMBER} OR {_quoted_in(line, key, value)})"


def _quoted_in(line: str, key: str, value: str) -> str:
    """Whether the line holds the value in quotes after the key, as JSON is usually spaced."""
    starts = (quote_text(f'"{key}":{space}"') for space in ("", " "))
    return (
        "(" + " OR ".join(f"contains({line}, concat({start}, {value}, '\u0022'))" for start in starts) + ")"
    )


def _odd_text(value: str, key: str, line: str) -> str:
    """Comparisons of the first character settle nearly all; only what is left is looked up in the line."""
    words = ", ".join(f"'{word}'" for word in _BARE_WORDS)
    looks = (
        f"({value} < ':' AND translate({value}, '0123456789+-.eE', '') = '')"
        f" OR {value} >= '{{' OR {value} LIKE '[%' OR {value} IN ({words})"
    )
    return f"(({looks}) AND NOT {_quoted_in(line, key, value)})"
