"""Iceberg tables in the Glue Data Catalog."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.glue.athena_types import glue_type
from local.glue.registration import iceberg_tables, register

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

WAREHOUSE = "s3://the-lake/warehouse"
FIELDS = [
    {"id": 1, "name": "id", "type": "string", "required": True, "doc": "Patient id"},
    {"id": 2, "name": "n", "type": "long", "required": False},
]


def metadata(database: str, table: str, fields: list[dict[str, Any]] = FIELDS) -> dict[str, Any]:
    return {
        "location": f"{WAREHOUSE}/{database}/{table}",
        "current-schema-id": 1,
        "schemas": [
            {"schema-id": 0, "type": "struct", "fields": []},
            {"schema-id": 1, "type": "struct", "fields": fields},
        ],
        "properties": {"comment": "One row per patient"},
    }


def commit(mirror: Path, database: str, table: str, version: int) -> Path:
    path = mirror / "the-lake" / "warehouse" / database / table / "metadata" / f"v{version}.metadata.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metadata(database, table)))
    return path


def registered(glue: GlueClient, mirror: Path) -> dict[str, tuple[str, ...]]:
    result = register(glue, tuple(iceberg_tables(mirror, WAREHOUSE)), WAREHOUSE)
    return {"created": result.created, "updated": result.updated, "dropped": result.dropped}


def test_a_table_is_registered_once_updated_on_a_commit_and_dropped_when_gone(
    glue: GlueClient, tmp_path: Path
) -> None:
    path = commit(tmp_path, "watershed_curated", "patient", 9)
    name = ("watershed_curated.patient",)
    assert registered(glue, tmp_path) == {"created": name, "updated": (), "dropped": ()}
    assert registered(glue, tmp_path) == {"created": (), "updated": (), "dropped": ()}
    # The tenth commit: by number, not by name.
    commit(tmp_path, "watershed_curated", "patient", 10)
    assert registered(glue, tmp_path) == {"created": (), "updated": name, "dropped": ()}
    table = glue.get_table(DatabaseName="watershed_curated", Name="patient")["Table"]
    location = f"{WAREHOUSE}/watershed_curated/patient"
    assert table["Parameters"] == {
        "table_type": "ICEBERG",
        "metadata_location": f"{location}/metadata/v10.metadata.json",
        "previous_metadata_location": f"{location}/metadata/v9.metadata.json",
    }
    assert table["StorageDescriptor"]["Location"] == location
    columns = table["StorageDescriptor"]["Columns"]
    assert [(each["Name"], each["Type"]) for each in columns] == [("id", "string"), ("n", "bigint")]
    assert columns[0]["Comment"] == "Patient id"
    assert columns[0]["Parameters"]["iceberg.field.optional"] == "false"
    for each in path.parent.iterdir():
        each.unlink()
    assert registered(glue, tmp_path) == {"created": (), "updated": (), "dropped": name}


def test_what_is_not_of_our_warehouse_is_never_dropped(glue: GlueClient, tmp_path: Path) -> None:
    glue.create_database(DatabaseInput={"Name": "other"})
    for name, location in (("theirs", "s3://elsewhere/t/metadata/v1.metadata.json"), ("plain", "")):
        kind = {"table_type": "ICEBERG", "metadata_location": location} if location else {}
        glue.create_table(DatabaseName="other", TableInput={"Name": name, "Parameters": kind})
    assert registered(glue, tmp_path)["dropped"] == ()


def test_compressed_metadata_is_read(tmp_path: Path) -> None:
    path = commit(tmp_path, "db", "t", 1)
    (path.parent / "v2.gz.metadata.json").write_bytes(gzip.compress(path.read_bytes()))
    (found,) = iceberg_tables(tmp_path, WAREHOUSE)
    assert found.metadata_location.endswith("/v2.gz.metadata.json")


def test_a_half_made_table_is_no_table_yet(tmp_path: Path) -> None:
    (tmp_path / "the-lake" / "warehouse" / "db" / "t" / "metadata").mkdir(parents=True)
    assert list(iceberg_tables(tmp_path, WAREHOUSE)) == []


@pytest.mark.parametrize(
    ("iceberg", "glue"),
    [
        ("int", "int"),
        ("timestamptz", "timestamp"),
        ("decimal(9, 4)", "decimal(9,4)"),
        ("fixed[16]", "binary"),
        ({"type": "list", "element": "string"}, "array<string>"),
        ({"type": "map", "key": "string", "value": "long"}, "map<string,bigint>"),
        (
            {"type": "struct", "fields": [{"name": "a", "type": {"type": "list", "element": "int"}}]},
            "struct<a:array<int>>",
        ),
    ],
)
def test_types_are_named_as_athena_reads_them(iceberg: str | dict[str, Any], glue: str) -> None:
    assert glue_type(iceberg) == glue
