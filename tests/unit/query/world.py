"""A small world of tables, asked through the engine itself: rows as `questions/world/*.yaml` has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from local.query.catalog import CatalogTable, Column
from local.query.engine import DEFAULT_DATABASE, Query
from local.query.pushdown import Need
from local.query.tables import Reference

HERE = Path(__file__).parent / "questions"


@dataclass(frozen=True)
class Table:
    """A table of the world. ``earlier`` is how many of its rows it had at any earlier version."""

    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    earlier: int


def _world() -> dict[str, Table]:
    tables = {}
    for file in sorted((HERE / "world").glob("*.yaml")):
        content = yaml.safe_load(file.read_text())
        tables[file.stem] = Table(content["columns"], content["rows"], content.get("earlier", 0))
    return tables


WORLD = _world()


class WorldCatalog:
    """The catalog as far as a query asks it: names and columns."""

    def table(self, name: str, database: str) -> CatalogTable:
        found = WORLD[f"{database}.{name}"]
        columns = tuple(Column(each, kind) for each, kind in found.columns.items())
        return CatalogTable(database, name, "iceberg", columns)


class WorldQuery(Query):
    """The engine itself, but for where the rows come from."""

    def __init__(self, sql: str) -> None:
        super().__init__(sql, "", WorldCatalog(), DEFAULT_DATABASE)  # type: ignore[arg-type]

    def columns(self, reference: Reference) -> dict[str, str]:
        return {column.name: column.type for column in reference.table.all_columns}

    def load(self, reference: Reference, need: Need) -> pa.Table:
        table = WORLD[reference.table.full_name]
        rows = table.rows if reference.version is None else table.rows[: table.earlier]
        names = [name for name in table.columns if need.columns is None or name in need.columns]
        names = names or [next(iter(table.columns))]
        return pa.table(
            {
                name: pa.array([_stored(row.get(name), kind) for row in rows], _arrow(kind))
                for name in names
                for kind in (table.columns[name],)
            }
        )


def _arrow(kind: str) -> pa.DataType:
    if kind.startswith("decimal"):
        precision, scale = kind.removeprefix("decimal(").rstrip(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return {
        "string": pa.string(),
        "boolean": pa.bool_(),
        "bigint": pa.int64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", "UTC"),
        "array<string>": pa.list_(pa.string()),
    }[kind]


def _stored(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind.startswith("decimal"):
        _, scale = kind.removeprefix("decimal(").rstrip(")").split(",")
        return Decimal(value).quantize(Decimal(1).scaleb(-int(scale)))
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
