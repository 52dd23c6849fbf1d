"""What a query needs of each table: the columns it names, and comparisons that rows must pass anyway.

Only comparisons that null fails are taken, so that filtering a table before an outer join changes nothing:
a row that fails them is dropped by the query itself, and so is a row that the join then fills with nulls.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

Value = bool | int | str | date | datetime
_OPERATORS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "in": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Comparison:
    """``column operator value``; ``in`` has several values."""

    column: str
    operator: str
    values: tuple[Value, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value passes; null never does."""
        if value is None:
            return False
        return any(_COMPARE[self.operator](value, each) for each in self.values)


@dataclass(frozen=True)
class Need:
    """Of one table: None where every column may be needed."""

    columns: frozenset[str] | None = None
    comparisons: tuple[Comparison, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """``tree`` is the query with every column told by its table and every type it could be told."""

    needs: Mapping[str, Need] = field(default_factory=dict)
    tree: exp.Expr | None = None


def analyse(tree: exp.Expr, schema: Mapping[str, Mapping[str, str]], dialect: str) -> Analysis:
    """What ``tree`` needs of each table of ``schema`` (table → column → type), where that can be told."""
    try:
        qualified = qualify(
            tree.copy(),
            dialect=dialect,
            schema={table: dict(columns) for table, columns in schema.items()},
            validate_qualify_columns=False,
            identify=False,
        )
        needs = dict(_needs(qualified, schema))
    except (SqlglotError, RecursionError, KeyError, AttributeError):
        # Only an optimisation is lost: every table is then read whole.
        return Analysis()
    return Analysis(needs, qualified)


def _needs(tree: exp.Expr, schema: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, Need]]:
    for scope in traverse_scope(tree):
        tables = {
            alias: source.name
            for alias, source in scope.sources.items()
            if isinstance(source, exp.Table) and source.name in schema
        }
        named: dict[str, set[str]] = {alias: set() for alias in tables}
        for column in scope.columns:
            if column.table in named:
                named[column.table].add(column.name)
            elif column.table not in scope.sources and not _is_outer(scope, column):
                # A column of nobody we know, such as a struct's field: do not guess.
                named = {}
                break
        for alias, table in tables.items():
            if alias not in named or not named[alias] <= schema[table].keys():
                yield table, Need()
                continue
            comparisons = tuple(_comparisons(scope, alias, schema[table]))
            yield table, Need(frozenset(named[alias]), comparisons)


def _is_outer(scope: Scope, column: exp.Column) -> bool:
    return scope.parent is not None and column.table in scope.parent.sources


def _comparisons(scope: Scope, alias: str, types: Mapping[str, str]) -> Iterator[Comparison]:
    where = scope.expression.args.get("where")
    if where is None:
        return
    for condition in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
        yield from _comparison(condition.unnest(), alias, types)


def _comparison(condition: exp.Expr, alias: str, types: Mapping[str, str]) -> Iterator[Comparison]:
    if isinstance(condition, exp.In) and condition.args.get("query") is None:
        found = [_value(each, _type(condition.this, alias, types)) for each in condition.expressions]
        values = tuple(value for value in found if value is not None)
        if found and len(values) == len(found):
            yield Comparison(condition.this.name, "in", values)
    elif isinstance(condition, exp.Between):
        for comparator, bound in ((">=", condition.args["low"]), ("<=", condition.args["high"])):
            value = _value(bound, _type(condition.this, alias, types))
            if value is not None:
                yield Comparison(condition.this.name, comparator, (value,))
    elif type(condition) in _OPERATORS:
        comparator = _OPERATORS[type(condition)]
        left, right = condition.this, condition.expression
        if isinstance(right, exp.Column):
            left, right, comparator = right, left, _MIRRORED[comparator]
        value = _value(right, _type(left, alias, types))
        if value is not None:
            yield Comparison(left.name, comparator, (value,))


def _type(column: exp.Expr, alias: str, types: Mapping[str, str]) -> str | None:
    """The declared type of a column of this table; None of anything else."""
    if isinstance(column, exp.Column) and column.table == alias:
        return types.get(column.name)
    return None


def _value(literal: exp.Expr, declared: str | None) -> Value | None:
    """The literal's value where it is of the column's own type, so that no conversion is guessed."""
    if declared == "string" and isinstance(literal, exp.Literal) and literal.is_string:
        return str(literal.this)
    if declared in ("int", "bigint") and isinstance(literal, exp.Literal) and literal.is_int:
        return int(literal.this)
    if declared == "boolean" and isinstance(literal, exp.Boolean):
        return bool(literal.this)
    if declared in ("date", "timestamp") and isinstance(literal, exp.Cast | exp.Date):
        return _moment(literal, declared)
    return None


def _moment(literal: exp.Expr, declared: str) -> date | datetime | None:
    """``DATE '2024-01-01'`` or ``TIMESTAMP '2024-01-01 00:00:00'``, of a column of that very type."""
    text = literal.this
    is_date = isinstance(literal, exp.Date) or literal.is_type(exp.DataType.Type.DATE)
    if not (isinstance(text, exp.Literal) and text.is_string) or is_date != (declared == "date"):
        return None
    try:
        if is_date:
            return date.fromisoformat(text.this)
        moment = datetime.fromisoformat(text.this)
    except ValueError:
        return None
    return moment if moment.tzinfo is None else None
