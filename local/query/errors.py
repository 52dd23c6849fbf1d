"""The errors of a query: each says what is wrong and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QueryError(Exception):
    """Root of what can go wrong with a query. The text is for whoever wrote the query."""


class SqlSyntaxError(QueryError):
    """Raised when the SQL does not parse.

    Attributes
    ----------
    line, column : where, counted from 1; 0 where unknown
    """

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        self.line = line
        self.column = column
        where = f"line {line}, column {column}: " if line else ""
        super().__init__(f"{where}{problem}")


class UnsupportedStatement(QueryError):
    """Raised when a statement is none that this engine runs, such as one that writes."""


class UnknownTable(QueryError):
    """Raised when the catalog has no such table or database; the text names those it has."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(known))
        near = did_you_mean(name, self.known)
        if self.known:
            problem = f"There is no table {name}.{near} Known: {', '.join(self.known)}"
        else:
            problem = f"There is no table {name}: the catalog is empty. Fill it: watershed run"
        super().__init__(problem)


class UnknownColumn(QueryError):
    """Raised when no table of the query has such a column."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        near = did_you_mean(name, self.known)
        super().__init__(f"There is no column {name}.{near} Known: {', '.join(self.known)}")


class UnreadableTable(QueryError):
    """Raised when a table's files are not what its declaration says; the text says where."""


class UnknownSnapshot(QueryError):
    """Raised when a table has no such version, or was not yet there at the time asked for."""


class InvalidMoment(QueryError):
    """Raised when the time that a query is to be asked as of is no date or timestamp."""


class QueryFailed(QueryError):
    """Raised when the engine could not compute the answer, such as for a cast that does not hold."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean …?`` where something near it is known, else nothing."""
    options = {each.lower(): each for each in known}
    by_last = {each.rpartition(".")[2]: each for each in options}
    wanted = name.lower()
    near = difflib.get_close_matches(wanted, options, n=1, cutoff=0.6)
    if not near:
        near = [by_last[each] for each in difflib.get_close_matches(wanted.rpartition(".")[2], by_last, n=1)]
    return f" Did you mean {options[near[0]]}?" if near else ""
