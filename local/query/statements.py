"""Statements that ask about the catalog rather than its data: ``SHOW …`` and ``DESCRIBE``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence

from local.query.catalog import Catalog, CatalogTable, Column
from local.query.result import QueryResult

_NAME = r"(?P<name>[\w.\"`$]+)"
_PATTERN = r"(?:\s+(?:like\s+)?'(?P<pattern>[^']*)')?"


def catalog_statement(sql: str, catalog: Catalog, database: str) -> QueryResult | None:
    """The answer of a statement about the catalog; None where ``sql`` is none of those.

    Raises
    ------
    UnknownTable : it asks about a table or database that does not exist
    """
    for pattern, answer in _STATEMENTS:
        match = re.match(rf"^\s*{pattern}\s*;?\s*$", sql, re.IGNORECASE)
        if match:
            given = match.groupdict()
            return answer(
                catalog, _unquoted(given.get("name")) or database, given.get("pattern") or "*", database
            )
    return None


def _unquoted(name: str | None) -> str:
    return re.sub(r"[\"`]", "", name or "").lower()


def _databases(catalog: Catalog, _name: str, pattern: str, _database: str) -> QueryResult:
    return _texts(["database_name"], [[each] for each in catalog.databases() if _matches(each, pattern)])


def _tables(catalog: Catalog, name: str, pattern: str, _database: str) -> QueryResult:
    tables = catalog.tables(catalog.database(name.removeprefix("awsdatacatalog.")))
    return _texts(["tab_name"], [[table.name] for table in tables if _matches(table.name, pattern)])


def _matches(name: str, pattern: str) -> bool:
    """Hive's patterns: ``*`` for anything, ``|`` between choices; and SQL's ``%``."""
    return any(fnmatch.fnmatchcase(name, each.strip().replace("%", "*")) for each in pattern.split("|"))


def _describe(catalog: Catalog, name: str, _pattern: str, database: str) -> QueryResult:
    table = find_table(catalog, name, database)

    def rows(columns: Sequence[Column], kind: str) -> list[list[str]]:
        return [[each.name, each.type, kind, each.comment] for each in columns]

    return _texts(
        ["col_name", "data_type", "kind", "comment"],
        rows(table.columns, "column") + rows(table.partition_keys, "partition"),
    )


def _columns(catalog: Catalog, name: str, _pattern: str, database: str) -> QueryResult:
    return _texts(["field"], [[each.name] for each in find_table(catalog, name, database).all_columns])


def _partitions(catalog: Catalog, name: str, _pattern: str, database: str) -> QueryResult:
    table = find_table(catalog, name, database)
    keys = [key.name for key in table.partition_keys]
    values = sorted(partition.values for partition in catalog.partitions(table))
    paths = ["/".join(f"{key}={value}" for key, value in zip(keys, each, strict=True)) for each in values]
    return _texts(["partition"], [[path] for path in paths])


def find_table(catalog: Catalog, name: str, database: str) -> CatalogTable:
    """A table by the name that a query gives it: ``patient``, ``curated.patient``.

    Raises
    ------
    UnknownTable : there is none
    """
    parts = name.split(".")
    return catalog.table(parts[-1], parts[-2] if len(parts) > 1 else database)


def _texts(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> QueryResult:
    return QueryResult(tuple(columns), ("varchar",) * len(columns), tuple(tuple(row) for row in rows))


_Answer = Callable[[Catalog, str, str, str], QueryResult]
_STATEMENTS: tuple[tuple[str, _Answer], ...] = (
    (rf"show\s+(?:databases|schemas){_PATTERN}", _databases),
    (rf"show\s+tables(?:\s+(?:in|from)\s+{_NAME})?{_PATTERN}", _tables),
    (rf"show\s+columns\s+(?:in|from)\s+{_NAME}", _columns),
    (rf"show\s+partitions\s+{_NAME}", _partitions),
    (rf"(?:describe|desc)\s+(?:extended\s+|formatted\s+)?{_NAME}", _describe),
)
