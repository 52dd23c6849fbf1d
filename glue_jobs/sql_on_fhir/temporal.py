"""Dates and times: comparison with partial precision, and boundaries. All of it works on the text as written."""

from __future__ import annotations

from glue_jobs.sql_on_fhir.sql import case, quote_text
from glue_jobs.sql_on_fhir.values import Value

_ZONED = "(Z|[+-][0-9]{2}:[0-9]{2})$"
_VALID = "^[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}(:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?$"
_LOWEST_DATE, _LOWEST_TIME, _HIGHEST_TIME = "0000-01-01", "00:00:00.000", "23:59:59.999"
# A time without offset may be anywhere on earth: its day starts first at +14:00 and ends last at -12:00.
_EARLIEST_ZONE, _LATEST_ZONE = "+14:00", "-12:00"


def _local(text: str) -> str:
    """The text without its offset."""
    return f"regexp_replace({text}, {quote_text(_ZONED)}, '')"


def _zone(text: str) -> str:
    return f"regexp_extract({text}, {quote_text(_ZONED)}, 1)"


def _start(text: str) -> str:
    """The first instant that the text can mean; without an offset it is read as UTC."""
    local = _local(text)
    tail = quote_text("-01-01T00:00:00")
    filled = case(
        (f"length({local}) = 4", f"concat({local}, {tail})"),
        (f"length({local}) = 7", f"concat({local}, '-01T00:00:00')"),
        (f"length({local}) = 10", f"concat({local}, 'T00:00:00')"),
        (f"length({local}) = 13", f"concat({local}, ':00:00')"),
        (f"length({local}) = 16", f"concat({local}, ':00')"),
        otherwise=local,
    )
    zone = f"coalesce(nullif({_zone(text)}, ''), 'Z')"
    return f"try_cast(concat({filled}, {zone}) AS TIMESTAMP)"


def _after(text: str) -> str:
    """The first instant after everything that the text can mean."""
    start, local = _start(text), _local(text)
    return case(
        (f"length({local}) = 4", f"{start} + INTERVAL '1' YEAR"),
        (f"length({local}) = 7", f"{start} + INTERVAL '1' MONTH"),
        (f"length({local}) = 10", f"{start} + INTERVAL '1' DAY"),
        (f"length({local}) = 13", f"{start} + INTERVAL '1' HOUR"),
        (f"length({local}) = 16", f"{start} + INTERVAL '1' MINUTE"),
        otherwise=f"{start} + INTERVAL '0.000001' SECOND",
    )


def _precision(text: str) -> str:
    """Seconds and their fractions are one precision, as FHIRPath has it."""
    return f"least(length({_local(text)}), 19)"


def compare(operator: str, left: Value, right: Value) -> str:
    """A comparison of dates and times; empty where the precision does not decide it."""
    a, b = left.sql, right.sql
    if left.type == right.type == "date":
        return _compare_text(operator, a, b)
    same = f"{_precision(a)} = {_precision(b)}"
    before, after = f"{_after(a)} <= {_start(b)}", f"{_after(b)} <= {_start(a)}"
    if operator in ("=", "!="):
        differ = "false" if operator == "=" else "true"
        undecided: tuple[tuple[str, str], ...] = ((before, differ), (after, differ))
    else:
        undecided = (
            (before, "true" if operator in ("<", "<=") else "false"),
            (after, "true" if operator in (">", ">=") else "false"),
        )
    return case((same, f"{_start(a)} {operator} {_start(b)}"), *undecided)


def _compare_text(operator: str, a: str, b: str) -> str:
    """Texts of equal length compare as they are; of others the common part must decide."""
    head_a, head_b = f"left({a}, length({b}))", f"left({b}, length({a}))"
    return case(
        (f"length({a}) = length({b}) OR {head_a} <> {head_b}", f"{a} {operator} {b}"),
    )


def compare_times(operator: str, left: Value, right: Value) -> str:
    """A comparison of times of day. Seconds and their fractions are one precision: 10:00:00 is 10:00:00.0."""
    a, b = (_whole_fraction(value.sql) for value in (left, right))
    return _compare_text(operator, a, b)


def _whole_fraction(time: str) -> str:
    padded = f"rpad(concat({time}, '.'), 18, '0')"
    return case(
        (f"length({time}) = 8", padded), (f"length({time}) > 8", f"rpad({time}, 18, '0')"), otherwise=time
    )


def boundary(value: Value, high: bool, precision: int | None) -> Value:
    """lowBoundary or highBoundary of a date, dateTime, instant or time."""
    text = value.sql
    if value.type == "time":
        filled = _fill_time(text, high)
        return Value(_cut(filled, precision, {2: 2, 4: 5, 6: 8, 9: 12}), "time")
    if value.type == "date":
        filled = case((_matches(text), _fill_date(text, high)))
        return Value(_cut(filled, precision, {4: 4, 6: 7, 8: 10}), "date")
    local = _local(text)
    day = _fill_date(f"left({local}, 10)", high)
    time = _fill_time(f"substring({local}, 12)", high)
    zone = f"coalesce(nullif({_zone(text)}, ''), {quote_text(_LATEST_ZONE if high else _EARLIEST_ZONE)})"
    if precision in (4, 6, 8):
        return Value(case((_matches(text), _cut(day, precision, {4: 4, 6: 7, 8: 10}))), "dateTime")
    if precision is not None:
        time = _cut(time, precision, {10: 2, 12: 5, 14: 8, 17: 12})
    return Value(case((_matches(text), f"concat({day}, 'T', {time}, {zone})")), "dateTime")


def _matches(text: str) -> str:
    return f"{text} RLIKE {quote_text(_VALID)}"


def _cut(text: str, precision: int | None, lengths: dict[int, int]) -> str:
    """The first digits only: FHIRPath counts precision in digits, `lengths` maps them to characters."""
    if precision is None or precision == max(lengths):
        return text
    return f"left({text}, {lengths[precision]})" if precision in lengths else "CAST(NULL AS STRING)"


def _fill_date(text: str, high: bool) -> str:
    if not high:
        return f"concat({text}, substring({quote_text(_LOWEST_DATE)}, length({text}) + 1))"
    last = f"CAST(last_day(try_cast(concat({text}, '-01') AS DATE)) AS STRING)"
    return case(
        (f"length({text}) = 4", f"concat({text}, '-12-31')"), (f"length({text}) = 7", last), otherwise=text
    )


def _fill_time(text: str, high: bool) -> str:
    """`substring` counts from 1: what the text lacks is taken from the lowest or highest time."""
    pattern = quote_text(_HIGHEST_TIME if high else _LOWEST_TIME)
    return f"concat({text}, substring({pattern}, length({text}) + 1))"
