"""Small pieces of Spark SQL text. Everything here works on Spark 3.5 and 4.x, with ANSI mode on or off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

# Begins every error that a query raises itself, so that it can be told from an error of Spark.
FAILURE = "sql-on-fhir: "

_SAFE = re.compile(r"[A-Za-z0-9 _.,:;/()=<>*+#@!?|~^{}\[\]-]")


def quote_text(text: str) -> str:
    """A string literal. What Spark's parser could interpret (quotes, backslash, ${...}) is spelled \\uXXXX."""
    return "'" + "".join(c if _SAFE.match(c) else _escape(c) for c in text) + "'"


def _escape(character: str) -> str:
    encoded = character.encode("utf-16-be")
    return "".join(f"\\u{encoded[i : i + 2].hex().upper()}" for i in range(0, len(encoded), 2))


def quote_name(name: str) -> str:
    """An identifier."""
    return "`" + name.replace("`", "``") + "`"


def field(source: str, key: str) -> str:
    """A field of a struct, or the array of that field of an array of structs."""
    return f"{source}.{quote_name(key)}"


def compact(array: str) -> str:
    """The array without its nulls."""
    return f"array_compact({array})"


def named_struct(fields: Iterable[tuple[str, str]]) -> str:
    """A struct from (name, expression) pairs."""
    return "named_struct(" + ", ".join(f"{quote_text(n)}, {e}" for n, e in fields) + ")"


def case(*branches: tuple[str, str], otherwise: str | None = None) -> str:
    """CASE WHEN ... THEN ... [ELSE ...] END."""
    whens = " ".join(f"WHEN {condition} THEN {value}" for condition, value in branches)
    return f"CASE {whens} {'' if otherwise is None else f'ELSE {otherwise} '}END"


def fail(message: str) -> str:
    """An expression of any type that stops the query with `message`."""
    return f"raise_error({quote_text(FAILURE + message)})"


_SHORT = 400
"""Characters that are sooner written twice: a lambda keeps Spark from turning an expression into plain Java."""


def shared(sql: str, name: str, use: Callable[[str], str]) -> str:
    """What `use` makes of an expression that it names several times; a long one is written, and computed, once.

    Without it, operators in operators double the text with each level, and Spark's planning with it. `name` begins
    with `_`, ends with a letter (`Compiler.fresh` gives those that end with a number) and is not `steps.ROOT`.
    """
    return use(sql) if len(sql) <= _SHORT else f"get(transform(array({sql}), {name} -> {use(name)}), 0)"
