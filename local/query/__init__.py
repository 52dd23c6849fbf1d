"""Athena SQL on the local catalog: read-only, over the same tables, by the same names."""

from local.query.engine import run_query
from local.query.errors import (
    InvalidMoment,
    QueryError,
    QueryFailed,
    SqlSyntaxError,
    UnknownColumn,
    UnknownSnapshot,
    UnknownTable,
    UnreadableTable,
    UnsupportedStatement,
)
from local.query.moment import moment
from local.query.result import QueryResult

__all__ = [
    "InvalidMoment",
    "QueryError",
    "QueryFailed",
    "QueryResult",
    "SqlSyntaxError",
    "UnknownColumn",
    "UnknownSnapshot",
    "UnknownTable",
    "UnreadableTable",
    "UnsupportedStatement",
    "moment",
    "run_query",
]
