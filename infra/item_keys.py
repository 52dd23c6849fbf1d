"""The keys of the item types' DynamoDB tables."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.item_type import Attribute, ItemType

_NUMBERS = ("long", "double", "timestamp_millis", "timestamp_seconds")


class TableDeclarationError(ValueError):
    """Raised when item types that share a table disagree about its keys."""


def key_type(attribute: Attribute) -> str:
    """DynamoDB's type of a key attribute: `S`, `N` or `B`."""
    if attribute.type in _NUMBERS or attribute.type.startswith("decimal"):
        return "N"
    return "B" if attribute.type == "binary" else "S"


def table_keys(item_types: Iterable[ItemType]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Each table's keys, as `(name, type)`, partition key first.

    Raises
    ------
    TableDeclarationError : two item types of one table declare different keys
    """
    tables: dict[str, tuple[tuple[str, str], ...]] = {}
    for item_type in item_types:
        keys = tuple((attribute.name, key_type(attribute)) for attribute in item_type.keys)
        if tables.setdefault(item_type.table_name, keys) != keys:
            raise TableDeclarationError(
                f"{item_type.file}: keys {keys} differ from those of another item type of table "
                f"{item_type.table_name}, {tables[item_type.table_name]}; a table has one key"
            )
    return tables
