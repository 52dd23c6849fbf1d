"""Athena SQL on the local catalog: read-only, over the same tables, by the same names."""

from local.query.engine import run_query
from local.query.errors import (
    QueryError,
    QueryFailed,
    SqlSyntaxError,
    UnknownColumn,
    UnknownSnapshot,
    UnknownTable,
    UnreadableTable,
    UnsupportedStatement,
)
from local.query.result import QueryResult

__all__ = [
    "QueryError",
    "QueryFailed",
    "QueryResult",
    "SqlSyntaxError",
    "UnknownColumn",
    "UnknownSnapshot",
    "UnknownTable",
    "UnreadableTable",
    "UnsupportedStatement",
    "run_query",
]
