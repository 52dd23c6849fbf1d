"""What an expectation says of single rows, as Spark has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_, or_

from pyspark.sql import Column
from pyspark.sql import functions as F

from glue_jobs.lake.tables import quoted
from schemas.expectation import Expectation

_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
_LIST_ARGUMENTS = ("column_list", "column_set")


def columns_of(expectation: Expectation) -> list[str]:
    """The columns an expectation names."""
    return list(columns_in(expectation.arguments))


def columns_in(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """The columns that arguments of an expectation or metric name."""
    named = [str(arguments[key]) for key in _COLUMN_ARGUMENTS if key in arguments]
    for key in _LIST_ARGUMENTS:
        listed = arguments.get(key)
        named += map(str, listed) if isinstance(listed, (list, tuple, set)) else ()
    return tuple(named)


def breaks(rule: Expectation) -> Column:
    """Whether a row breaks a rule, never null: what Great Expectations counts as unexpected.

    A null breaks nothing but the rule that there be none.
    """
    arguments = rule.arguments
    columns = [F.col(quoted(name)) for name in columns_of(rule)]
    broken = ~F.coalesce(_holds(rule.type, columns, arguments), F.lit(True))
    return broken & is_judged(rule)


def is_judged(rule: Expectation) -> Column:
    """Whether an expectation about several columns looks at a row at all, never null; of one, always."""
    missing = [F.col(quoted(name)).isNull() for name in columns_of(rule)]
    if len(missing) < 2:
        return F.lit(True)
    match rule.arguments.get("ignore_row_if", "all_values_are_missing"):
        case "both_values_are_missing" | "all_values_are_missing":
            return ~reduce(and_, missing)
        case "either_value_is_missing" | "any_value_is_missing":
            return ~reduce(or_, missing)
    return F.lit(True)


def _holds(kind: str, columns: Sequence[Column], arguments: Mapping[str, object]) -> Column:
    first = columns[0]
    match kind:
        case "expect_column_values_to_not_be_null":
            return first.isNotNull()
        case "expect_column_values_to_be_in_set":
            return first.isin(arguments["value_set"])
        case "expect_column_values_to_match_regex":
            return first.rlike(str(arguments["regex"]))
        case "expect_column_values_to_be_between":
            return _between(first, arguments)
        case "expect_column_pair_values_to_be_equal":
            return first.eqNullSafe(columns[1])
        case "expect_column_pair_values_a_to_be_greater_than_b":
            return first >= columns[1] if arguments.get("or_equal") else first > columns[1]
    raise ValueError(f"{kind} judges no single rows")  # the loader of suites lets none pass


def _between(column: Column, arguments: Mapping[str, object]) -> Column:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    tests = []
    if low is not None:
        tests.append(column > F.lit(low) if arguments.get("strict_min") else column >= F.lit(low))
    if high is not None:
        tests.append(column < F.lit(high) if arguments.get("strict_max") else column <= F.lit(high))
    return reduce(and_, tests)
