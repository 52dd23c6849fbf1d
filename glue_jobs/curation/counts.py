"""What Great Expectations counts in a table, in one query where it would run one for each of its metrics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from glue_jobs.curation.rules import breaks, columns_of, is_judged
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.tables import quoted
from schemas.expectation import ROW_KINDS, Expectation, Suite

Metric = tuple[str, tuple[str, ...]]
"""A metric's name in Great Expectations, and the columns it is of."""
Counts = Mapping[Metric, int]

_ROWS: Metric = ("table.row_count", ())
_UNIQUE = {
    "expect_column_values_to_be_unique": "column_values.unique",
    "expect_compound_columns_to_be_unique": "compound_columns.unique",
}
_METRICS = {
    "expect_column_values_to_not_be_null": "column_values.nonnull",
    "expect_column_values_to_be_in_set": "column_values.in_set",
    "expect_column_values_to_be_between": "column_values.between",
    "expect_column_values_to_match_regex": "column_values.match_regex",
    "expect_column_pair_values_to_be_equal": "column_pair_values.equal",
    "expect_column_pair_values_a_to_be_greater_than_b": "column_pair_values.a_greater_than_b",
    **_UNIQUE,
}
_OF_UNIQUE = frozenset({"column", "column_list", "ignore_row_if"})
RENEWED: Metric = ("renewed", ())
"""Not Great Expectations': how many rows have one of the keys that were made anew."""


@dataclass(frozen=True)
class Renewed:
    """The few keys whose rows were made anew, and how many rows that are, if that is known.

    ``passed`` says that the table passed the suite's demands of uniqueness before. Of rows that agree in a demand's
    columns all or none have such a key, if the key is part of these columns. So no two of the others are alike, and
    only these are compared.
    """

    keys: KeySet
    rows: int | None = None
    passed: bool = False

    def are(self) -> Column:
        """Whether a row is one of them; null for one without a key."""
        return F.expr(self.keys.predicate())

    def may_be(self) -> Column:
        """Whether a row may be one of them, never null."""
        return F.coalesce(self.are(), F.lit(True))

    def decides(self, expectation: Expectation) -> bool:
        is_part = set(self.keys.columns) <= set(columns_of(expectation))
        return self.passed and is_part and demands_uniqueness(expectation)


def demands_uniqueness(expectation: Expectation) -> bool:
    """Whether a table is published only if no two of its rows are alike in some columns."""
    return (
        expectation.type in _UNIQUE
        and expectation.severity != "warn"
        and expectation.arguments.get("mostly", 1) == 1
    )


def uniqueness(suite: Suite) -> str:
    """Hash of what a suite demands to be unique."""
    demands = [[e.type, dict(e.arguments)] for e in suite.expectations if demands_uniqueness(e)]
    return hashlib.sha256(json.dumps(demands, sort_keys=True, default=str).encode()).hexdigest()


def counts_all(suite: Suite) -> bool:
    """Whether ``count`` counts all that the suite asks for, as long as keys are unique."""
    return all(map(_is_counted, suite.expectations)) and not _ambiguous(suite)


def count(rows: DataFrame, suite: Suite, renewed: Renewed | None = None) -> Counts:
    """The counts of the suite's metrics, as Great Expectations has them.

    All rows are counted, but compared with each other only those that may have become alike (``renewed``; None:
    any may). Those made anew are counted for themselves.

    Of unique values only that none occurs twice: where one does, counting how many is left to Great
    Expectations. So are other types, and metrics that two expectations ask about the same columns.
    """
    ambiguous = _ambiguous(suite)
    asked = [each for each in suite.expectations if _is_counted(each) and _metric(each) not in ambiguous]
    wanted: dict[Metric, Column] = {_ROWS: F.count(F.lit(1))}
    for each in asked:
        wanted.update(_wanted(each))
    if renewed is not None:
        wanted[RENEWED] = F.count_if(renewed.are())
    distinct: dict[Metric, Column] = {}
    for each in asked:
        if each.type in _UNIQUE:
            compared = _is_present(each)
            if renewed is not None and renewed.decides(each):
                compared = compared & renewed.may_be()
            distinct[_metric(each)] = _doubles(each, compared)
    names = [*wanted, *distinct]
    row = rows.agg(*wanted.values(), *distinct.values()).collect()[0]
    found = {name: int(value or 0) for name, value in zip(names, row, strict=True)}
    if renewed is not None and renewed.passed and found[RENEWED] != renewed.rows:
        return count(rows, suite)  # other rows than those of its keys came
    for metric in distinct:
        name, columns = metric
        judged = found.pop((f"{name}.judged", columns))
        if not found.pop(metric):
            found[f"{name}.unexpected_count", columns] = 0
        if len(columns) > 1:
            found[f"{name}.filtered_row_count", columns] = judged
    return found


def _metric(expectation: Expectation) -> Metric:
    return _METRICS[expectation.type], tuple(columns_of(expectation))


def _wanted(expectation: Expectation) -> Iterator[tuple[Metric, Column]]:
    name, columns = _metric(expectation)
    if len(columns) == 1:
        column = F.col(quoted(columns[0]))
        yield ("column_values.nonnull.unexpected_count", columns), F.count_if(column.isNull())
    if expectation.type in _UNIQUE:
        yield (f"{name}.judged", columns), F.count_if(_is_present(expectation))
        return
    yield (f"{name}.unexpected_count", columns), F.count_if(breaks(expectation))
    if len(columns) > 1:
        yield (f"{name}.filtered_row_count", columns), F.count_if(is_judged(expectation))


def _is_present(expectation: Expectation) -> Column:
    columns = columns_of(expectation)
    return is_judged(expectation) if len(columns) > 1 else F.col(quoted(columns[0])).isNotNull()


def _doubles(expectation: Expectation, compared: Column) -> Column:
    """By how much the rows compared are more than their different keys: by none if no key occurs twice."""
    key = F.struct(*(F.col(quoted(each)) for each in columns_of(expectation)))
    return F.count_if(compared) - F.count_distinct(F.when(compared, key))


def _is_counted(expectation: Expectation) -> bool:
    """Whether the type is one of ours, with no argument that would change what is counted."""
    known = _OF_UNIQUE if expectation.type in _UNIQUE else frozenset(ROW_KINDS.get(expectation.type, ()))
    if expectation.type not in _METRICS or not expectation.arguments.keys() <= known | {"mostly"}:
        return False
    limits = (expectation.arguments.get(name) for name in ("min_value", "max_value"))
    return all(each is None or isinstance(each, (int, float)) for each in limits) and not isinstance(
        expectation.arguments.get("value_set", []), str
    )


def _ambiguous(suite: Suite) -> set[Metric]:
    """Metrics that differ in arguments which their names do not tell."""
    seen: dict[Metric, Expectation] = {}
    found = set()
    for each in suite.expectations:
        if each.type not in _METRICS:
            continue
        first = seen.setdefault(_metric(each), each)
        if {**first.arguments, "mostly": 1} != {**each.arguments, "mostly": 1}:
            found.add(_metric(each))
    return found
