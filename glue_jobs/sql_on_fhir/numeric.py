"""Numbers: arithmetic, and the lexical form of decimals.

A decimal read from a resource is its text as written. It becomes a Spark decimal only to be calculated with or
compared, with 18 places before and after the point being what Spark's 38 digits allow in one type; values
beyond that fall back to doubles rather than to nothing.
"""

from __future__ import annotations

from glue_jobs.sql_on_fhir.sql import case
from glue_jobs.sql_on_fhir.values import INTEGERS, Value

_WIDE = "DECIMAL(38,18)"
# Products and quotients of these keep at least 15 places: Spark would cut those of wider types to 6.
_NARROW = "DECIMAL(20,9)"
_RESULT = "DECIMAL(38,15)"
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
    function = {"+": "try_add", "-": "try_subtract", "*": "try_multiply", "/": "try_divide"}[operator]
    operand = _WIDE if operator in "+-" else _NARROW
    exact = f"{function}({decimal(left, operand)}, {decimal(right, operand)})"
    rough = f"{function}({_double(left)}, {_double(right)})"
    sql = f"coalesce(try_cast({exact} AS {_RESULT}), try_cast(round({rough}, 12) AS {_RESULT}))"
    return Value(sql, "decimal", numeric=True)


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
    return Value(f"try_cast({numerator} % {denominator} AS {_RESULT})", "decimal", numeric=True)


def negate(value: Value) -> Value:
    """The number with its sign changed; a decimal that is text stays text, digits as written."""
    if value.type in INTEGERS:
        literal = None if value.literal is None else str(-int(value.literal))
        sql = f"try_subtract(0, {value.sql})" if literal is None else f"({literal})"
        return Value(sql, "integer", literal=literal)
    if value.numeric:
        return Value(f"(- {value.sql})", "decimal", numeric=True)
    text = value.sql
    sql = case(
        (f"startswith({text}, '-')", f"substring({text}, 2)"),
        (f"try_cast({text} AS DOUBLE) = 0", text),
        otherwise=f"concat('-', {text})",
    )
    return Value(sql, "decimal")


def lexical(value: Value) -> str:
    """A calculated decimal as text: plain digits without trailing zeros."""
    if not value.numeric:
        return value.sql
    plain = f"replace(format_number({value.sql}, 15), ',', '')"
    trimmed = f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {plain}))"
    return f"CASE {trimmed} WHEN '-0' THEN '0' ELSE {trimmed} END"


def boundary(value: Value, high: bool, places: int | None) -> Value:
    """The lowest or highest number that rounds to this one, as its digits were written.

    1.587 stands for 1.5865 up to 1.5875; `places` (default 8) cuts that downwards or upwards.
    """
    places = DEFAULT_PLACES if places is None else places
    if not 0 <= places <= 15:
        return Value("CAST(NULL AS DECIMAL(38,15))", "decimal", numeric=True)
    text = lexical(value) if value.numeric else f"CAST({value.sql} AS STRING)"
    mantissa = f"substring_index(lower({text}), 'e', 1)"
    fraction = case(
        (f"contains({mantissa}, '.')", f"length(substring_index({mantissa}, '.', -1))"), otherwise="0"
    )
    exponent = f"coalesce(try_cast(nullif(substring({text}, length({mantissa}) + 2), '') AS INT), 0)"
    scale = f"({fraction} - {exponent})"
    number, shift = decimal(value), "try_add" if high else "try_subtract"
    half = case(
        (f"{scale} >= 0", f"try_cast(concat('0.', repeat('0', {scale}), '5') AS {_WIDE})"),
        otherwise=f"try_cast(concat('5', repeat('0', -{scale} - 1)) AS {_WIDE})",
    )
    edge = f"{shift}({number}, {half})"
    rounded = f"{'ceil' if high else 'floor'}({edge}, {places})"
    return Value(f"try_cast({rounded} AS {_RESULT})", "decimal", numeric=True)
