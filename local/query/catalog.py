"""The Glue Data Catalog as a query sees it: databases, tables, partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from local.query.errors import UnknownTable

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

PREFIX = "watershed_"
Kind = Literal["iceberg", "json", "text", "view", "other"]

_SERDES: Mapping[str, Kind] = {
    "JsonSerDe": "json",
    "JsonSerde": "json",
    "LazySimpleSerDe": "text",
    "RegexSerDe": "text",
}


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class CatalogTable:
    """One table. ``columns`` are those of its files, ``partition_keys`` those of its folders.

    ``metadata_location`` is an Iceberg table's; ``view_text`` is a view's; ``serde_parameters`` tell how
    the files of the others are read.
    """

    database: str
    name: str
    kind: Kind
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...] = ()
    location: str = ""
    metadata_location: str = ""
    view_text: str = ""
    comment: str = ""
    serde_parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.name}"

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """In the order of ``SELECT *``."""
        return (*self.columns, *self.partition_keys)


@dataclass(frozen=True)
class Partition:
    values: tuple[str, ...]
    location: str


class Catalog:
    """Reads the catalog as often as it is asked: jobs and crawlers change it meanwhile."""

    def __init__(self, glue: GlueClient) -> None:
        self._glue = glue

    def databases(self) -> list[str]:
        pages = self._glue.get_paginator("get_databases").paginate()
        return sorted(each["Name"] for page in pages for each in page["DatabaseList"])

    def tables(self, database: str) -> list[CatalogTable]:
        pages = self._glue.get_paginator("get_tables").paginate(DatabaseName=database)
        found = [_table(each) for page in pages for each in page["TableList"]]
        return sorted(found, key=lambda table: table.name)

    def partitions(self, table: CatalogTable) -> Iterator[Partition]:
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=table.database, TableName=table.name
        )
        for page in pages:
            for each in page["Partitions"]:
                yield Partition(tuple(each["Values"]), each["StorageDescriptor"]["Location"])

    def known_tables(self) -> list[str]:
        """Every table by the name a query would use: ``curated.patient``."""
        return [
            f"{short_name(database)}.{table.name}"
            for database in self.databases()
            for table in self.tables(database)
        ]

    def database(self, name: str) -> str:
        """The database of that name; ``curated`` is short for ``watershed_curated``.

        Raises
        ------
        UnknownTable : there is none
        """
        known = self.databases()
        for candidate in (name.lower(), f"{PREFIX}{name.lower()}"):
            if candidate in known:
                return candidate
        raise UnknownTable(f"{name}.*", [f"{short_name(each)}.*" for each in known])

    def table(self, name: str, database: str) -> CatalogTable:
        """A table by name.

        Raises
        ------
        UnknownTable : there is none; the error names those there are
        """
        asked = f"{short_name(database)}.{name}"
        if database.lower() not in (known := self.databases()) and f"{PREFIX}{database.lower()}" not in known:
            raise UnknownTable(asked, self.known_tables())
        try:
            found = self._glue.get_table(DatabaseName=self.database(database), Name=name.lower())
        except self._glue.exceptions.EntityNotFoundException:
            raise UnknownTable(asked, self.known_tables()) from None
        return _table(found["Table"])


def short_name(database: str) -> str:
    return database.removeprefix(PREFIX)


def _table(raw: Mapping[str, Any]) -> CatalogTable:
    storage = raw.get("StorageDescriptor", {})
    parameters = raw.get("Parameters", {}) or {}
    serde = storage.get("SerdeInfo", {}) or {}
    return CatalogTable(
        database=raw["DatabaseName"],
        name=raw["Name"],
        kind=_kind(raw, parameters, serde),
        columns=_columns(storage.get("Columns", [])),
        partition_keys=_columns(raw.get("PartitionKeys", []) or []),
        location=storage.get("Location", ""),
        metadata_location=parameters.get("metadata_location", ""),
        view_text=raw.get("ViewOriginalText") or "",
        comment=raw.get("Description", ""),
        serde_parameters=serde.get("Parameters", {}) or {},
    )


def _kind(raw: Mapping[str, Any], parameters: Mapping[str, str], serde: Mapping[str, Any]) -> Kind:
    if parameters.get("table_type", "").upper() == "ICEBERG":
        return "iceberg"
    if raw.get("TableType") == "VIRTUAL_VIEW":
        return "view"
    return _SERDES.get(str(serde.get("SerializationLibrary", "")).rpartition(".")[2], "other")


def _columns(raw: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    return tuple(
        Column(each["Name"], each.get("Type", "string"), each.get("Comment", "") or "") for each in raw
    )
