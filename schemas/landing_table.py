"""Landing tables: the fixed columns by which the landing zone is read in Athena as it is. One YAML file each
under ``schemas/raw/``; crawlers add partitions to them and never rewrite their columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.declaration import SCHEMAS_DIR, declaration_files, read_declaration, snake_case
from schemas.item_type import UNMATCHED, ItemType

RAW_DIR = SCHEMAS_DIR / "raw"
FORMATS = ("json", "text")


@dataclass(frozen=True)
class LandingColumn:
    name: str
    type: str
    description: str


@dataclass(frozen=True)
class LandingTable:
    """A table over one prefix of the landing bucket.

    ``prefix`` ends with ``/``. ``partition_keys`` are those every object has, in path order; the prefix of
    a table may hold more below them. ``format`` is ``json`` (a column per field, Hive's JSON SerDe) or
    ``text`` (one column, the raw line).
    """

    name: str
    prefix: str
    description: str
    format: str
    columns: tuple[LandingColumn, ...]
    partition_keys: tuple[LandingColumn, ...]
    file: Path


def read_landing_table(file: Path) -> LandingTable:
    """The landing table in one YAML file.

    Raises
    ------
    SchemaError : naming the file and the field
    """
    fields = read_declaration(file)
    fields.allow_only(("name", "prefix", "description", "format", "columns", "partition_keys"))
    prefix = fields.text("prefix")
    if not prefix.endswith("/") or prefix.startswith("/"):
        raise fields.error("prefix", f"{prefix!r} must end with / and not begin with it")
    layout = fields.text("format")
    if layout not in FORMATS:
        raise fields.error("format", f"{layout!r} is not one of {', '.join(FORMATS)}")

    def columns(field: str) -> tuple[LandingColumn, ...]:
        return tuple(
            LandingColumn(name, each.text("type"), each.text("description"))
            for name, each in fields.children(field)
        )

    return LandingTable(
        name=fields.sql_name("name"),
        prefix=prefix,
        description=fields.text("description"),
        format=layout,
        columns=columns("columns"),
        partition_keys=columns("partition_keys"),
        file=file,
    )


def load_landing_tables(folder: Path = RAW_DIR) -> dict[str, LandingTable]:
    """Every landing table as declared, by name; ``item_change`` stands for one table per item type.

    Raises
    ------
    SchemaError : a file is wrong
    """
    return {table.name: table for table in map(read_landing_table, declaration_files(folder, ".yaml"))}


def item_change_tables(envelope: LandingTable, item_types: Iterable[ItemType]) -> dict[str, LandingTable]:
    """The landing tables of item changes: one per item type, and one per DynamoDB table for ``_unmatched``.

    Each has the columns of ``envelope`` and lies under its own prefix, because item types may add
    partitions of their own before those of the time.
    """
    item_types = tuple(item_types)
    tables = {}
    for item_type in item_types:
        attributes = {attribute.name: attribute for attribute in item_type.columns}
        own = tuple(
            LandingColumn(snake_case(name), "string", attributes[name].description)
            for name in item_type.partition_by
        )
        tables[f"{item_type.sql_name}_change"] = replace(
            envelope,
            name=f"{item_type.sql_name}_change",
            prefix=f"{envelope.prefix}table_name={item_type.table_name}/item_type={item_type.name}/",
            description=f"Changes of {item_type.name} items as they landed, one JSON envelope per line.",
            partition_keys=own + envelope.partition_keys,
        )
    for table_name in sorted({item_type.table_name for item_type in item_types}):
        name = f"{snake_case(table_name)}_unmatched_change"
        tables[name] = replace(
            envelope,
            name=name,
            prefix=f"{envelope.prefix}table_name={table_name}/item_type={UNMATCHED}/",
            description=f"Changes of items of {table_name} that no item type claims.",
        )
    return tables
