"""Runs a query: parse, find its tables, load what it needs of them, translate, compute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlglot import exp

from local.glue.aws import glue_client, s3_client
from local.query.catalog import Catalog
from local.query.errors import QueryError, QueryFailed, UnknownColumn, UnreadableTable, UnsupportedStatement
from local.query.iceberg_source import (
    columns_at,
    open_table,
    read_iceberg,
    read_metadata_table,
    snapshot_of,
)
from local.query.landing_source import read_landing
from local.query.pushdown import Analysis, Need, analyse
from local.query.result import QueryResult
from local.query.statements import catalog_statement
from local.query.tables import Reference, Version, resolve_tables
from local.query.translate import ATHENA, ENGINE, MACROS, parse, to_engine
from local.query.types import athena_type

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

DEFAULT_DATABASE = "watershed_curated"
_UNKNOWN_COLUMN = re.compile(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"')
_EVERYTHING = Need()


def run_query(
    sql: str, endpoint_url: str, database: str = DEFAULT_DATABASE, as_of: datetime | None = None
) -> QueryResult:
    """The answer of one Athena query on the local catalog.

    Parameters
    ----------
    endpoint_url : of the emulator
    database : of tables named without one; ``curated`` is short for ``watershed_curated``
    as_of : ask the tables as they were then, a time with its zone; a table with a ``FOR … AS OF`` of its own is read by that

    Raises
    ------
    QueryError : its kinds tell a syntax error, an unknown table or column, unreadable data, and what fails
        while computing; the text says what to write instead
    """
    from botocore.exceptions import EndpointConnectionError

    try:
        catalog = Catalog(glue_client(endpoint_url))
        about_catalog = catalog_statement(sql, catalog, database)
        if about_catalog and as_of:
            raise UnsupportedStatement("The catalog has only its present state: ask a SELECT as of a time")
        return about_catalog or Query(sql, endpoint_url, catalog, database, as_of).answer()
    except EndpointConnectionError:
        raise QueryFailed(
            f"The emulator at {endpoint_url} does not answer. Start it with: watershed up"
        ) from None


class Query:
    """One query and the tables that it names."""

    def __init__(
        self, sql: str, endpoint_url: str, catalog: Catalog, database: str, as_of: datetime | None = None
    ) -> None:
        self._endpoint_url = endpoint_url
        self._catalog = catalog
        self._tree, self._references = resolve_tables(parse(sql), catalog, database, parse, _constant, as_of)
        self._schema: dict[str, dict[str, str]] = {}
        self._notes: list[str] = []

    def answer(self) -> QueryResult:
        self._schema = {
            each.relation: self.columns(each)
            for each in self._references
            # What a metadata table has for columns is known once it is read.
            if each.metadata_table is None
        }
        analysis = analyse(self._tree, self._schema, ATHENA)
        sql = to_engine(self._tree, self._schema)
        try:
            return self._compute(sql, analysis)
        except UnknownColumn:
            if not any(need.columns is not None for need in analysis.needs.values()):
                raise
            # The error's list of columns is to be the tables', not just what was loaded of them.
            return self._compute(sql, Analysis())

    def _compute(self, sql: str, analysis: Analysis) -> QueryResult:
        self._notes.clear()
        loaded = {
            each.relation: self.load(each, analysis.needs.get(each.relation, _EVERYTHING))
            for each in self._references
        }
        with _connection() as connection:
            for relation, table in loaded.items():
                connection.register(relation, table)
            _lock(connection)
            names = [name for table in loaded.values() for name in table.column_names]
            return _fetch(connection, sql, names, self._notes)

    def columns(self, reference: Reference) -> dict[str, str]:
        """Types by column: those of the version that is asked, or else the catalog's."""
        table = reference.table
        if table.kind != "iceberg" or reference.version is None:
            return {column.name: column.type for column in table.all_columns}
        opened = open_table(table, self._endpoint_url)
        return columns_at(opened, snapshot_of(opened, table.full_name, reference.version))

    def load(self, reference: Reference, need: Need) -> pa.Table:
        """The rows of a table, at least those and at least the columns that are needed."""
        table = reference.table
        columns = None if need.columns is None else _in_order(reference, need.columns)
        if table.kind == "iceberg":
            opened = open_table(table, self._endpoint_url)
            if reference.metadata_table is not None:
                return read_metadata_table(opened, reference.metadata_table)
            if reference.version is not None:
                snapshot = snapshot_of(opened, table.full_name, reference.version)
                return read_iceberg(opened, None, (), snapshot)
            return read_iceberg(opened, columns, need.comparisons, None)
        if reference.metadata_table is not None or reference.version is not None:
            raise UnsupportedStatement(
                f"{table.full_name} is no Iceberg table: it has only its present state"
            )
        if table.kind not in ("json", "text"):
            raise UnreadableTable(f"{table.full_name}: a table of this format cannot be read here")
        partitions = list(self._catalog.partitions(table))
        if not partitions:
            self._notes.append(
                f"{table.full_name} has no partitions yet: the crawlers add them (watershed run)"
            )
        return read_landing(table, partitions, s3_client(self._endpoint_url), columns, need.comparisons)


def _in_order(reference: Reference, columns: frozenset[str]) -> Sequence[str]:
    """The table's order. A query that names no column, such as ``count(*)``, still needs one to count."""
    named = [each.name for each in reference.table.all_columns if each.name in columns]
    return named or [reference.table.all_columns[0].name]


def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        config={
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    for statement in ("set TimeZone = 'UTC'", "set integer_division = true", *MACROS):
        connection.execute(statement)
    return connection


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on only what was loaded: no file, no network, no extension."""
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, known: Sequence[str], notes: Sequence[str]
) -> QueryResult:
    import duckdb

    try:
        relation = connection.sql(sql)
        columns, types = relation.columns, [athena_type(each) for each in relation.types]
        rows = relation.to_arrow_table()
    except duckdb.Error as error:
        raise _query_error(error, known) from None
    # By position: names may repeat.
    values = [column.to_pylist() for column in rows.columns]
    for position, declared in enumerate(types):
        if declared == "bigint":
            values[position] = [None if each is None else int(each) for each in values[position]]
    return QueryResult(tuple(columns), tuple(types), tuple(zip(*values, strict=True)), tuple(notes))


def _query_error(error: duckdb.Error, known: Sequence[str]) -> QueryError:
    text = str(error)
    column = _UNKNOWN_COLUMN.search(text)
    if column:
        return UnknownColumn(column[1] or column[2], dict.fromkeys(known))
    # Behind the first paragraph comes the translated SQL, which is not what was written.
    return QueryFailed(text.partition("\n\nLINE ")[0].partition("\nLINE ")[0].replace("\n", " "))


def _constant(expression: exp.Expr) -> Version:
    """The value of an expression that needs no table: of ``FOR TIMESTAMP AS OF current_timestamp - …``."""
    import duckdb

    with _connection() as connection:
        try:
            row = connection.execute(f"select {expression.sql(dialect=ENGINE)}").fetchone()
        except duckdb.Error as error:
            raise _query_error(error, ()) from None
    value = row[0] if row else None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int | str):
        return value
    raise UnsupportedStatement(f"{expression.sql(dialect=ATHENA)} names no version")


def compute(sql: str) -> QueryResult:
    """The answer of an Athena query that reads no table.

    Raises
    ------
    QueryError : as :func:`run_query`
    """
    tree = parse(sql)
    for table in tree.find_all(exp.Table):
        if table.name not in {cte.alias for cte in tree.find_all(exp.CTE)}:
            raise UnsupportedStatement(f"{table.sql(ATHENA)}: this query is to read no table")
    with _connection() as connection:
        _lock(connection)
        return _fetch(connection, to_engine(tree, {}), (), ())
