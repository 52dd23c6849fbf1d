"""Numbers: arithmetic, and the lexical form of decimals.

A decimal read from a resource is its text as written. It becomes a Spark decimal only to be calculated with or
compared, with 18 places before and after the point being what Spark's 38 digits allow in one type; values
beyond that fall back to doubles rather than to nothing.
"""

from __future__ import annotations

from dataclasses import replace

from glue_jobs.sql_on_fhir.sql import case, shared
from glue_jobs.sql_on_fhir.values import INTEGERS, Value

_WIDE = "DECIMAL(38,18)"
# Products and quotients of these keep at least 15 places: Spark would cut those of wider types to 6.
_NARROW = "DECIMAL(20,9)"
RESULT = "DECIMAL(38,15)"
DEFAULT_PLACES = 8


def decimal(value: Value, type_name: str = _WIDE) -> str:
    """A number as a Spark decimal; NULL where it does not fit."""
    return f"try_cast({value.sql} AS {type_name})"


def _double(value: Value) -> str:
    return f"try_cast({value.sql} AS DOUBLE)"


def compare(operator: str, left: Value, right: Value) -> str:
    """A comparison of two numbers, exact where both fit a Spark decimal."""
    if left.type in INTEGERS and right.type in INTEGERS:
        return f"({left.sql} {operator} {right.sql})"
    exact = f"{decimal(left)} {operator} {decimal(right)}"
    return f"coalesce({exact}, {_double(left)} {operator} {_double(right)})"


def arithmetic(operator: str, left: Value, right: Value) -> Value:
    """`+ - * / div mod` by FHIRPath's rules; overflow and division by zero give empty."""
    if left.type in INTEGERS and right.type in INTEGERS and operator != "/":
        return Value(_integers(operator, left.sql, right.sql), "integer")
    if operator in ("div", "mod"):
        return _decimal_division(operator, left, right)
    sql = shared(
        left.sql,
        "_left",
        lambda one: shared(right.sql, "_right", lambda other: _decimals(operator, one, other)),
    )
    return Value(sql, "decimal", numeric=True)


def _decimals(operator: str, left: str, right: str) -> str:
    function = {"+": "try_add", "-": "try_subtract", "*": "try_multiply", "/": "try_divide"}[operator]
    operand = _WIDE if operator in "+-" else _NARROW
    exact = f"{function}(try_cast({left} AS {operand}), try_cast({right} AS {operand}))"
    rough = f"{function}(try_cast({left} AS DOUBLE), try_cast({right} AS DOUBLE))"
    return f"coalesce(try_cast({exact} AS {RESULT}), try_cast(round({rough}, 12) AS {RESULT}))"


def _integers(operator: str, left: str, right: str) -> str:
    functions = {"+": "try_add", "-": "try_subtract", "*": "try_multiply"}
    if operator in functions:
        return f"{functions[operator]}({left}, {right})"
    if operator == "div":
        return f"try_cast({left} div nullif({right}, 0) AS INT)"
    return f"({left} % nullif({right}, 0))"


def _decimal_division(operator: str, left: Value, right: Value) -> Value:
    numerator, denominator = decimal(left), f"nullif({decimal(right)}, 0)"
    if operator == "div":
        # `div` counts in 64 bits and in ANSI mode throws beyond, so what an integer cannot hold is kept from it.
        fits = f"abs(try_divide({_double(left)}, {_double(right)})) < 2147483649D"
        return Value(case((fits, f"try_cast({numerator} div {denominator} AS INT)")), "integer")
    return Value(f"try_cast({numerator} % {denominator} AS {RESULT})", "decimal", numeric=True)


def negate(value: Value) -> Value:
    """The number with its sign changed; a decimal that is text stays text, digits as written."""
    if value.type in INTEGERS:
        literal = None if value.literal is None else str(-int(value.literal))
        sql = f"try_subtract(0, {value.sql})" if literal is None else f"({literal})"
        return Value(sql, "integer", literal=literal)
    if value.numeric:
        return Value(f"(- {value.sql})", "decimal", numeric=True)
    return Value(shared(value.sql, "_signed", _negated), "decimal")


def _negated(text: str) -> str:
    return case(
        (f"startswith({text}, '-')", f"substring({text}, 2)"),
        (f"try_cast({text} AS DOUBLE) = 0", text),
        otherwise=f"concat('-', {text})",
    )


def lexical(value: Value) -> str:
    """A calculated decimal as text: plain digits without trailing zeros."""
    if not value.numeric:
        return value.sql
    plain = f"replace(format_number({value.sql}, 15), ',', '')"
    trimmed = f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {plain}))"
    return shared(trimmed, "_digits", lambda digits: f"CASE {digits} WHEN '-0' THEN '0' ELSE {digits} END")


def boundary(value: Value, high: bool, places: int | None) -> Value:
    """The lowest or highest number that rounds to this one, as its digits were written.

    1.587 stands for 1.5865 up to 1.5875; `places` (default 8) cuts that downwards or upwards.
    """
    places = DEFAULT_PLACES if places is None else places
    if not 0 <= places <= 15:
        return Value("CAST(NULL AS DECIMAL(38,15))", "decimal", numeric=True)
    sql = shared(value.sql, "_number", lambda number: _edge(replace(value, sql=number), high, places))
    return Value(sql, "decimal", numeric=True)


def _edge(value: Value, high: bool, places: int) -> str:
    text = lexical(value) if value.numeric else f"CAST({value.sql} AS STRING)"
    return shared(text, "_text", lambda digits: _rounded(decimal(value), digits, high, places))


def _rounded(number: str, text: str, high: bool, places: int) -> str:
    mantissa = f"substring_index(lower({text}), 'e', 1)"
    fraction = case(
        (f"contains({mantissa}, '.')", f"length(substring_index({mantissa}, '.', -1))"), otherwise="0"
    )
    exponent = f"coalesce(try_cast(nullif(substring({text}, length({mantissa}) + 2), '') AS INT), 0)"
    return shared(
        f"({fraction} - {exponent})", "_places", lambda scale: _shifted(number, scale, high, places)
    )


def _shifted(number: str, scale: str, high: bool, places: int) -> str:
    half = case(
        (f"{scale} >= 0", f"try_cast(concat('0.', repeat('0', {scale}), '5') AS {_WIDE})"),
        otherwise=f"try_cast(concat('5', repeat('0', -{scale} - 1)) AS {_WIDE})",
    )
    edge = f"{'try_add' if high else 'try_subtract'}({number}, {half})"
    return f"try_cast({'ceil' if high else 'floor'}({edge}, {places}) AS {RESULT})"
