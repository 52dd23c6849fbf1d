"""Declared attributes to typed columns: the rules, as Spark SQL over tagged values.

A *tagged value* is what ``exact_json`` makes of a JSON value: its first character says what kind it was.
Each rule gives the typed value and whether the value is one of that type, and never changes what it
cannot keep: a number with more decimals than its column is refused, not rounded.

Everything is written with ``try_`` functions and checked ranges, so that ANSI mode makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas import Attribute

_BARE_DECIMAL = (38, 9)
_LONG_MIN, _LONG_MAX = "-9223372036854775808BD", "9223372036854775807BD"
# The years 1 to 9999, as Athena and Python know them, in microseconds of the epoch.
_FIRST_MICROSECOND, _LAST_MICROSECOND = "-62135596800000000BD", "253402300799999999BD"
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = f"{_DATE}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,9}})?)?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?"
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"

_COLUMN_TYPES = {
    "string": "string",
    "long": "bigint",
    "double": "double",
    "decimal": "decimal(38,9)",
    "boolean": "boolean",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_millis": "timestamp",
    "timestamp_seconds": "timestamp",
    "string_set": "array<string>",
    "json": "string",
}


@dataclass(frozen=True)
class ValueRule:
    """SQL over a tagged value: ``value`` is the typed column, ``kind`` whether the value's kind is right,
    ``fits`` whether ``value`` holds it exactly. ``fits`` is asked only where ``kind`` is true."""

    value: str
    kind: str
    fits: str


def column_type(attribute: Attribute) -> str:
    """The type of an attribute's column in Spark's DDL."""
    return _COLUMN_TYPES.get(attribute.type, attribute.type)


def value_rule(attribute: Attribute, tagged: str, json_text: str) -> ValueRule:
    """The rule of one attribute.

    Parameters
    ----------
    tagged : SQL of its tagged value, null where it is absent or null
    json_text : SQL of the value as JSON text, asked for only by attributes of type ``json``
    """
    if attribute.type == "json":
        return ValueRule(f"if({tagged} is null, null, {json_text})", "true", "true")
    if attribute.type == "boolean":
        return ValueRule(f"{tagged} = 'true'", f"{tagged} in ('true', 'false')", "true")
    if attribute.type == "string_set":
        return _string_set(tagged)
    content = f"substr({tagged}, 2)"
    rule = _TEXT_RULES.get(attribute.type)
    if rule is not None:
        value, fits = rule(content)
        return ValueRule(value, f"startswith({tagged}, 's')", fits)
    value, fits = _NUMBER_RULES.get(attribute.type, _decimal(attribute.type))(content)
    return ValueRule(value, f"startswith({tagged}, 'n')", fits)


def tagged_kind(tagged: str) -> str:
    """SQL of a tagged value's kind, in words for people."""
    return (
        f"case left({tagged}, 1) when 's' then 'a text' when 'n' then 'a number' when '[' then 'a list'"
        f" when '{{' then 'a map' else 'true or false' end"
    )


def _string_set(tagged: str) -> ValueRule:
    elements = f"from_json({tagged}, 'array<string>')"
    return ValueRule(
        value=f"transform({elements}, x -> substr(x, 2))",
        kind=f"startswith({tagged}, '[')",
        fits=f"forall({elements}, x -> x is not null and startswith(x, 's'))",
    )


_Rule = Callable[[str], tuple[str, str]]
"""From the SQL of a value's text to that of the typed value and of whether it fits."""


def _string(text: str) -> tuple[str, str]:
    return text, "true"


def _date(text: str) -> tuple[str, str]:
    value = f"try_cast({text} as date)"
    return value, f"{text} rlike '^{_DATE}$' and {text} >= '0001' and {value} is not null"


def _timestamp(text: str) -> tuple[str, str]:
    """ISO 8601 with a time of day; UTC where it names no offset; cut to microseconds, as Iceberg keeps."""
    # Spark does not read a time without seconds.
    timed = f"regexp_replace({text}, '(T[0-9]{{2}}:[0-9]{{2}})(Z|[+-]|$)', '$1:00$2')"
    zoned = f"if({text} rlike '(Z|[+-][0-9]{{2}}:[0-9]{{2}})$', {timed}, concat({timed}, 'Z'))"
    value = f"try_cast({zoned} as timestamp)"
    return value, f"{text} rlike '^{_TIME}$' and {text} >= '0001' and year({value}) between 1 and 9999"


def _binary(text: str) -> tuple[str, str]:
    value = f"try_to_binary({text}, 'base64')"
    return value, f"{text} rlike '^{_BASE64}$' and {value} is not null"


def _decimal(declared: str) -> _Rule:
    precision, scale = _BARE_DECIMAL
    if declared.startswith("decimal("):
        precision, scale = map(int, declared[len("decimal(") : -1].split(","))

    def rule(text: str) -> tuple[str, str]:
        value = f"try_cast({text} as decimal({precision},{scale}))"
        return value, f"{_decimals(text)} <= {scale} and {value} is not null"

    return rule


def _long(text: str) -> tuple[str, str]:
    exact = f"try_cast({text} as decimal(38,0))"
    fits = f"{_decimals(text)} <= 0 and {exact} between {_LONG_MIN} and {_LONG_MAX}"
    return f"try_cast({exact} as bigint)", fits


def _double(text: str) -> tuple[str, str]:
    value = f"try_cast({text} as double)"
    return value, f"abs({value}) < double('infinity')"


def _epoch(decimals: int) -> _Rule:
    """Epoch time whose unit has as many decimals as bring it to microseconds."""

    def rule(text: str) -> tuple[str, str]:
        exact = f"try_cast({text} as decimal(24,{decimals}))"  # leaves room to multiply without overflow
        micros = f"try_cast({exact} * {10**decimals}BD as decimal(38,0))"
        in_range = f"{micros} between {_FIRST_MICROSECOND} and {_LAST_MICROSECOND}"
        value = f"timestamp_micros(try_cast(if({in_range}, {micros}, null) as bigint))"
        return value, f"{_decimals(text)} <= {decimals} and {in_range}"

    return rule


def _decimals(text: str) -> str:
    """SQL of how many decimals a number needs: ``1.50`` 1, ``100`` -2, ``1e-3`` 3, any zero 0."""
    digits = f"replace(regexp_extract({text}, '^-?([0-9.]+)', 1), '.', '')"
    fraction = f"length(regexp_extract({text}, '[.]([0-9]+)', 1))"
    exponent = f"coalesce(try_cast(regexp_extract({text}, '[eE](.+)', 1) as int), 0)"
    significant = f"length(regexp_replace({digits}, '0+$', ''))"
    needed = f"{fraction} - {exponent} - (length({digits}) - {significant})"
    return f"(if({significant} = 0, 0, {needed}))"


_TEXT_RULES: Mapping[str, _Rule] = {
    "string": _string,
    "date": _date,
    "timestamp": _timestamp,
    "binary": _binary,
}
_NUMBER_RULES: Mapping[str, _Rule] = {
    "long": _long,
    "double": _double,
    # Millis have three decimals down to microseconds, seconds six.
    "timestamp_millis": _epoch(3),
    "timestamp_seconds": _epoch(6),
}
