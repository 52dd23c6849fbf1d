"""A landing table as the Glue Data Catalog holds it."""

from __future__ import annotations

from typing import Any

from schemas.landing_table import LandingColumn, LandingTable

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

_SERDES: dict[str, dict[str, Any]] = {
    # This SerDe gives an object in a `string` column as its JSON text; Hive's own refuses it.
    "json": {
        "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
        "Parameters": {"ignore.malformed.json": "true", "case.insensitive": "false"},
    },
    # One column, the line. The delimiter is a control character, which JSON may hold only escaped.
    "text": {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "Parameters": {"field.delim": "\u0001", "serialization.format": "\u0001"},
    },
}


def table_input(table: LandingTable, landing_bucket: str) -> dict[str, Any]:
    """`TableInput` of the Glue API, and of `AWS::Glue::Table`."""
    return {
        "Name": table.name,
        "Description": table.description,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [_column(column) for column in table.partition_keys],
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "json" if table.format == "json" else "csv",
            # A crawler sets tables aside whose compression it finds to differ; without one named, it does
            # not ask.
            "compressionType": "none",
            "typeOfData": "file",
            # Athena then uses the partition indexes of the table, should it get any.
            "partition_filtering.enabled": "true",
        },
        "StorageDescriptor": {
            "Location": f"s3://{landing_bucket}/{table.prefix}",
            "Columns": [_column(column) for column in table.columns],
            "InputFormat": _TEXT_INPUT,
            "OutputFormat": _TEXT_OUTPUT,
            "Compressed": False,
            "StoredAsSubDirectories": False,
            "SerdeInfo": _SERDES[table.format],
        },
    }


def _column(column: LandingColumn) -> dict[str, str]:
    return {"Name": column.name, "Type": column.type, "Comment": column.description}
