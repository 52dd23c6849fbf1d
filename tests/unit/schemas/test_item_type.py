"""Item types: what a declaration may say, and how an error names the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import UNMATCHED, SchemaError, load_item_types, match_item_type
from schemas.item_type import read_item_type

VALID = """
name: Reading
table_name: readings
description: A device reading.
keys:
  deviceId: {type: string, description: Device}
  takenAt: {type: timestamp_millis, description: When}
partition_by: [deviceId]
attributes:
  value: {type: "decimal(12,3)", description: Measured value}
"""


def write(folder: Path, text: str, name: str = "reading.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_declaration_becomes_a_typed_item_type(tmp_path: Path) -> None:
    item_type = read_item_type(write(tmp_path, VALID))
    assert (item_type.name, item_type.sql_name, item_type.table_name) == ("Reading", "reading", "readings")
    assert [(each.name, each.column, each.type, each.required) for each in item_type.columns] == [
        ("deviceId", "device_id", "string", True),
        ("takenAt", "taken_at", "timestamp_millis", True),
        ("value", "value", "decimal(12,3)", False),
    ]


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (("type: string", "type: text"), "keys.deviceId.type", "'text' is not one of string, long"),
        (("decimal(12,3)", "decimal(39,3)"), "attributes.value.type", "precision is 1 to 38"),
        (("decimal(12,3)", "decimal(2,3)"), "attributes.value.type", "scale at most the precision"),
        (("description: Measured value", "descr: x"), "attributes.value.descr", "unknown field; known are"),
        (
            ("partition_by: [deviceId]", "partition_by: [siteId]"),
            "partition_by",
            "'siteId' is not a declared",
        ),
        (("name: Reading", "name: ''"), "name", "must be a non-empty text"),
        (("name: Reading", "name: a reading"), "name", "must be letters and digits"),
        (("table_name: readings\n", ""), "table_name", "must be a non-empty text"),
        (
            ("takenAt: {type: timestamp_millis", "takenAt: {type: json"),
            "keys.takenAt.type",
            "cannot be a key",
        ),
        (("value: {", "device_id: {"), "attributes.device_id", "column 'device_id' is declared twice"),
        (("value: {", "value: [{"), "line", "is not YAML"),
    ],
)
def test_an_error_names_file_and_field(
    tmp_path: Path, change: tuple[str, str], field: str, problem: str
) -> None:
    assert change[0] in VALID
    file = write(tmp_path, VALID.replace(*change))
    with pytest.raises(SchemaError) as raised:
        read_item_type(file)
    assert raised.value.file == file
    assert raised.value.field.startswith(field)
    assert problem in str(raised.value)


def test_two_types_of_one_table_must_be_told_apart(tmp_path: Path) -> None:
    write(tmp_path, VALID)
    write(tmp_path, VALID.replace("name: Reading", "name: Other"), "other.yaml")
    with pytest.raises(SchemaError, match="could be both Reading and Other"):
        load_item_types(tmp_path)


def test_the_declared_types_tell_single_table_items_apart() -> None:
    item_types = load_item_types().values()
    matched = [
        match_item_type(item_types, table, item)
        for table, item in (
            ("watershed-registry", {"itemType": "Patient"}),
            ("watershed-registry", {"itemType": "Address"}),
            ("watershed-registry", {"itemType": "Cohort"}),
            ("watershed-registry", {}),
            ("watershed-site-activity", {}),
            ("another-table", {"itemType": "Patient"}),
        )
    ]
    assert matched == ["Patient", "Address", UNMATCHED, UNMATCHED, "SiteActivity", UNMATCHED]
