"""Iceberg tables in the emulator's Glue Data Catalog, as Iceberg's GlueCatalog would have put them there.

On AWS each commit updates the catalog. Here Spark commits to the mirror, and after each job the catalog is
brought to what lies there.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from local.glue.athena_types import glue_columns

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import TableInputTypeDef

_VERSION = re.compile(r"^v(\d+)(?:\.gz)?\.metadata\.json(?:\.gz)?$")


@dataclass(frozen=True)
class IcebergTable:
    """A table of the warehouse as its newest metadata describes it."""

    database: str
    name: str
    location: str
    metadata_location: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Registered:
    """Names, ``database.table``, of what a registration did."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def iceberg_tables(mirror: Path, warehouse: str) -> Iterator[IcebergTable]:
    """The tables of a Hadoop catalog: ``<warehouse>/<database>/<table>/metadata/v<N>.metadata.json``.

    The file of the highest version counts, not ``version-hint.text``: a commit is the appearance of the file,
    and the hint is written after it.
    """
    bucket, _, prefix = warehouse.removeprefix("s3://").partition("/")
    root = mirror / bucket / prefix
    for folder in sorted(root.glob("*/*/metadata")):
        versions = {int(match[1]): path for path in folder.iterdir() if (match := _VERSION.match(path.name))}
        if not versions:
            continue
        newest = versions[max(versions)]
        content = newest.read_bytes()
        metadata = orjson.loads(gzip.decompress(content) if ".gz" in newest.suffixes else content)
        key = newest.relative_to(mirror / bucket).as_posix()
        table = folder.parent
        yield IcebergTable(
            database=table.parent.name,
            name=table.name,
            location=metadata["location"],
            metadata_location=f"s3://{bucket}/{key}",
            metadata=metadata,
        )


def register(glue: GlueClient, tables: Sequence[IcebergTable], warehouse: str) -> Registered:
    """Bring the catalog to ``tables``: new ones created, changed ones updated, those gone dropped.

    Only Iceberg tables whose location is under ``warehouse`` are ever dropped.
    """
    created, updated, dropped = [], [], []
    databases = {
        each["Name"]
        for page in glue.get_paginator("get_databases").paginate()
        for each in page["DatabaseList"]
    }
    for database in sorted({table.database for table in tables} - databases):
        glue.create_database(DatabaseInput={"Name": database})
    for database in sorted(databases | {table.database for table in tables}):
        there = _iceberg_tables_of(glue, database, warehouse)
        here = {table.name: table for table in tables if table.database == database}
        for name, table in here.items():
            previous = there.get(name)
            if previous == table.metadata_location:
                continue
            if name in there:
                glue.update_table(DatabaseName=database, TableInput=table_input(table, previous))
                updated.append(f"{database}.{name}")
            else:
                glue.create_table(DatabaseName=database, TableInput=table_input(table, None))
                created.append(f"{database}.{name}")
        for name in sorted(there.keys() - here.keys()):
            glue.delete_table(DatabaseName=database, Name=name)
            dropped.append(f"{database}.{name}")
    return Registered(tuple(created), tuple(updated), tuple(dropped))


def _iceberg_tables_of(glue: GlueClient, database: str, warehouse: str) -> dict[str, str]:
    """Name → metadata location of the Iceberg tables of a database that lie in our warehouse."""
    found = {}
    for page in glue.get_paginator("get_tables").paginate(DatabaseName=database):
        for table in page["TableList"]:
            parameters = table.get("Parameters", {})
            location = parameters.get("metadata_location", "")
            if parameters.get("table_type", "").upper() == "ICEBERG" and location.startswith(
                f"{warehouse.rstrip('/')}/"
            ):
                found[table["Name"]] = location
    return found


def table_input(table: IcebergTable, previous: str | None) -> TableInputTypeDef:
    """What Iceberg's GlueCatalog writes for a table."""
    parameters = {"table_type": "ICEBERG", "metadata_location": table.metadata_location}
    if previous:
        parameters["previous_metadata_location"] = previous
    description = table.metadata.get("properties", {}).get("comment", "")
    return {
        "Name": table.name,
        "Description": description,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "StorageDescriptor": {"Columns": glue_columns(table.metadata), "Location": table.location},
    }
