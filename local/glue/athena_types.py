"""Iceberg's types as the Glue Data Catalog names them
(https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-supported-data-types.html)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import ColumnTypeDef

_PRIMITIVES: Mapping[str, str] = {
    "boolean": "boolean",
    "int": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "time": "string",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "string": "string",
    "uuid": "string",
    "binary": "binary",
}


def glue_type(iceberg_type: str | Mapping[str, Any]) -> str:
    """The catalog's name of a type in Iceberg's JSON: ``bigint`` for ``long``, ``array<int>`` for a list."""
    if isinstance(iceberg_type, str):
        if iceberg_type.startswith("decimal"):
            return iceberg_type.replace(" ", "")
        if iceberg_type.startswith("fixed"):
            return "binary"
        return _PRIMITIVES[iceberg_type]
    match iceberg_type["type"]:
        case "struct":
            fields = ",".join(f"{each['name']}:{glue_type(each['type'])}" for each in iceberg_type["fields"])
            return f"struct<{fields}>"
        case "list":
            return f"array<{glue_type(iceberg_type['element'])}>"
        case "map":
            return f"map<{glue_type(iceberg_type['key'])},{glue_type(iceberg_type['value'])}>"
        case other:
            raise ValueError(f"Iceberg type {other!r} has no name in the Glue Data Catalog")


def glue_columns(metadata: Mapping[str, Any]) -> list[ColumnTypeDef]:
    """The columns of a table's current schema, with the parameters by which Iceberg knows them again."""
    current = metadata["current-schema-id"]
    schema = next(each for each in metadata["schemas"] if each["schema-id"] == current)
    return [
        {
            "Name": field["name"],
            "Type": glue_type(field["type"]),
            "Comment": field.get("doc", ""),
            "Parameters": {
                "iceberg.field.id": str(field["id"]),
                "iceberg.field.optional": str(not field["required"]).lower(),
                "iceberg.field.current": "true",
            },
        }
        for field in schema["fields"]
    ]
