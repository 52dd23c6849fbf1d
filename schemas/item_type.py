"""Item types: what a DynamoDB item of one kind looks like. One YAML file each under ``schemas/items/``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from schemas.declaration import SCHEMAS_DIR, Declaration, declaration_files, read_declaration, snake_case
from schemas.errors import SchemaError

ITEMS_DIR = SCHEMAS_DIR / "items"

UNMATCHED = "_unmatched"
"""The item type of a change that no declaration claims: it lands all the same."""

ATTRIBUTE_TYPES = (
    "string",
    "long",
    "double",
    "decimal",
    "boolean",
    "binary",
    "date",
    "timestamp",
    "timestamp_millis",
    "timestamp_seconds",
    "string_set",
    "json",
)
"""``decimal`` may carry precision and scale, ``decimal(12,2)``; bare, it is ``decimal(38,9)``.
``date`` and ``timestamp`` are ISO 8601 texts; ``timestamp_millis`` and ``timestamp_seconds`` are epoch
numbers; ``json`` keeps any list or map as JSON text; ``string_set`` is an array of texts."""

_DECIMAL = re.compile(r"^decimal\((\d{1,2}),(\d{1,2})\)$")
_MAX_PRECISION = 38


@dataclass(frozen=True)
class Attribute:
    """One declared attribute of an item, and the column it becomes.

    ``references`` names the FHIR resource type whose id the attribute holds; ``phi`` marks protected
    health information.
    """

    name: str
    column: str
    type: str
    description: str
    required: bool = False
    phi: bool = False
    references: str | None = None


@dataclass(frozen=True)
class ItemType:
    """One kind of DynamoDB item: where it lives, how it is told apart, how it is typed.

    ``match`` holds the attributes and values that an item of this type has; empty where the table holds
    one type only. ``keys`` are the table's partition and sort key, in that order.
    """

    name: str
    table_name: str
    description: str
    keys: tuple[Attribute, ...]
    attributes: tuple[Attribute, ...]
    match: tuple[tuple[str, str], ...] = ()
    partition_by: tuple[str, ...] = ()
    file: Path | None = None

    @cached_property
    def sql_name(self) -> str:
        """The name of its conformed table: ``site_activity`` for ``SiteActivity``."""
        return snake_case(self.name)

    @cached_property
    def columns(self) -> tuple[Attribute, ...]:
        """Keys, then the other declared attributes, in the order declared."""
        return (*self.keys, *self.attributes)

    def matches(self, item: Mapping[str, Any]) -> bool:
        """Whether a plain-JSON item carries all the attribute values this type is told apart by."""
        return all(item.get(attribute) == value for attribute, value in self.match)


def _attribute(name: str, fields: Declaration, *, key: bool) -> Attribute:
    fields.allow_only(("type", "description", "column", "required", "phi", "references"))
    declared = fields.text("type")
    decimal = _DECIMAL.match(declared)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2])
        if not 0 < precision <= _MAX_PRECISION or scale > precision:
            raise fields.error("type", f"{declared}: precision is 1 to 38 and scale at most the precision")
    elif declared not in ATTRIBUTE_TYPES:
        raise fields.error("type", f"{declared!r} is not one of {', '.join(ATTRIBUTE_TYPES)}")
    if key and declared in ("json", "string_set", "boolean"):
        raise fields.error("type", f"{declared} cannot be a key: DynamoDB keys are texts, numbers or binary")
    column = fields.sql_name("column") if "column" in fields.value else snake_case(name)
    return Attribute(
        name=name,
        column=column,
        type=declared,
        description=fields.text("description"),
        required=key or fields.flag("required"),
        phi=fields.flag("phi"),
        references=fields.text("references") if "references" in fields.value else None,
    )


def read_item_type(file: Path) -> ItemType:
    """The item type that one YAML file declares.

    Raises
    ------
    SchemaError : naming the file and the field
    """
    fields = read_declaration(file)
    fields.allow_only(("name", "table_name", "description", "match", "keys", "partition_by", "attributes"))
    keys = tuple(_attribute(name, each, key=True) for name, each in fields.children("keys"))
    if not 1 <= len(keys) <= 2:
        raise fields.error("keys", "a DynamoDB table has one or two key attributes")
    attributes = tuple(_attribute(name, each, key=False) for name, each in fields.children("attributes"))
    match = fields.child("match").value if "match" in fields.value else {}
    for name, value in match.items():
        if not isinstance(value, str):
            raise fields.error(f"match.{name}", "must be a text to compare the attribute with")
    item_type = ItemType(
        name=fields.text("name"),
        table_name=fields.text("table_name"),
        description=fields.text("description"),
        keys=keys,
        attributes=attributes,
        match=tuple(sorted(match.items())),
        partition_by=fields.texts("partition_by"),
        file=file,
    )
    _check(item_type, fields)
    return item_type


def _check(item_type: ItemType, fields: Declaration) -> None:
    if not re.match(r"^[A-Za-z][A-Za-z0-9]*$", item_type.name):
        raise fields.error("name", f"{item_type.name!r} must be letters and digits, such as SiteActivity")
    seen: set[str] = set()
    for attribute in item_type.columns:
        if attribute.column in seen:
            raise fields.error(
                f"attributes.{attribute.name}", f"column {attribute.column!r} is declared twice"
            )
        if attribute.column.startswith("_"):
            raise fields.error(
                f"attributes.{attribute.name}", "columns that begin with _ are Watershed's own"
            )
        seen.add(attribute.column)
    names = {attribute.name for attribute in item_type.columns}
    for name in item_type.partition_by:
        if name not in names:
            raise fields.error("partition_by", f"{name!r} is not a declared attribute")
        if snake_case(name) in ("table_name", "item_type", "year", "month", "day", "hour"):
            raise fields.error("partition_by", f"{name!r} is the name of a partition that every item has")


def load_item_types(folder: Path = ITEMS_DIR) -> dict[str, ItemType]:
    """Every declared item type, by name.

    Raises
    ------
    SchemaError : a file is wrong, a name is declared twice, or two types of one table cannot be told apart
    """
    item_types: dict[str, ItemType] = {}
    for file in declaration_files(folder, ".yaml"):
        item_type = read_item_type(file)
        if item_type.name in item_types:
            raise SchemaError(file, "name", f"{item_type.name!r} is declared in two files")
        _check_beside(item_type, item_types.values(), file)
        item_types[item_type.name] = item_type
    return item_types


def _check_beside(item_type: ItemType, others: Iterable[ItemType], file: Path) -> None:
    for other in others:
        if other.table_name != item_type.table_name:
            continue
        if [(key.name, key.type) for key in other.keys] != [(key.name, key.type) for key in item_type.keys]:
            raise SchemaError(file, "keys", f"differ from those of {other.name}, which is in the same table")
        mine, theirs = dict(item_type.match), dict(other.match)
        if not any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys()):
            problem = f"an item could be both {item_type.name} and {other.name}: match a common attribute"
            raise SchemaError(file, "match", problem)


def match_item_type(item_types: Iterable[ItemType], table_name: str, item: Mapping[str, Any]) -> str:
    """The name of the type that an item of a table has, or ``_unmatched``."""
    for item_type in item_types:
        if item_type.table_name == table_name and item_type.matches(item):
            return item_type.name
    return UNMATCHED
