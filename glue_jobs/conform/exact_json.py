"""JSON in Spark without losing a digit or a type, natively.

Spark 3.5 reads a JSON number into a text column through a double (``1.50`` becomes ``1.5``, long ones are
rounded), and a text column does not tell ``12`` from ``"12"``. So the line is *tagged* before it is
parsed: every string gets an ``s`` in front, every number becomes a string with an ``n`` in front. In what
``from_json`` then gives, the first character of a text says what it was:

``s`` string, ``n`` number (its digits verbatim), ``t``/``f`` boolean, ``{`` map, ``[`` list, null null.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

_STRING = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'  # possessive, so that no text makes it backtrack or recurse
_NUMBER = r"(-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)"
_TAGGED_STRING = r'"s([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_TAGGED_NUMBER = r'"n([^"]*+)"'

# Java's regular expressions cannot replace a match by one of two texts. So each match becomes
# OPEN string MIDDLE number CLOSE with one of the two empty, and plain replacements do the rest. JSON
# allows none of these characters unescaped, in strings or outside.
_OPEN, _MIDDLE, _CLOSE = "\x01", "\x02", "\x03"

READ_OPTIONS = {
    "mode": "PERMISSIVE",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
}


def tag(line: Column) -> Column:
    """The tagged JSON of a JSON text; null where the text holds characters that no JSON holds unescaped."""
    marked = F.regexp_replace(line, f"{_STRING}|{_NUMBER}", f"{_OPEN}$1{_MIDDLE}$2{_CLOSE}")
    tagged = _replace(
        marked,
        (_MIDDLE + _CLOSE, '"'),  # the end of a string: a number is never empty
        (_OPEN + _MIDDLE, '"n'),
        (_CLOSE, '"'),
        (_OPEN, '"s'),
    )
    return F.when(~line.rlike(f"[{_OPEN}{_MIDDLE}{_CLOSE}]"), tagged)


def untag(tagged: Column) -> Column:
    """The JSON text of tagged JSON text of a list or a map."""
    pattern = f"{_TAGGED_STRING}|{_TAGGED_NUMBER}"
    marked = F.regexp_replace(tagged, pattern, f"{_OPEN}$1{_MIDDLE}$2{_CLOSE}")
    return _replace(
        marked,
        (_MIDDLE + _CLOSE, '"'),
        (_OPEN + _MIDDLE, ""),
        (_CLOSE, ""),
        (_OPEN, '"'),
    )


def untag_value(value: Column) -> Column:
    """The JSON text of one tagged value, of whatever kind; ``null`` for null."""
    kind = F.substring(value, 1, 1)
    return (
        F.when(value.isNull(), F.lit("null"))
        .when(kind == "s", quote(content(value)))
        .when(kind == "n", content(value))
        .when(kind.isin("{", "["), untag(value))
        .otherwise(value)
    )


def content(value: Column) -> Column:
    """What follows the tag: the string, or the digits."""
    return value.substr(F.lit(2), F.length(value))


def quote(text: Column) -> Column:
    """A text as a JSON string."""
    array = F.to_json(F.array(text))
    return array.substr(F.lit(2), F.length(array) - 2)


def _replace(text: Column, *pairs: tuple[str, str]) -> Column:
    for search, replacement in pairs:
        text = F.replace(text, F.lit(search), F.lit(replacement))
    return text
