"""The declarations that a user edits to add a table, and the typed loaders that validate them."""

from schemas.declaration import SCHEMAS_DIR, snake_case
from schemas.errors import SchemaError
from schemas.item_type import UNMATCHED, Attribute, ItemType, load_item_types, match_item_type
from schemas.landing_table import LandingTable, item_change_tables, load_landing_tables

__all__ = [
    "SCHEMAS_DIR",
    "UNMATCHED",
    "Attribute",
    "ItemType",
    "LandingTable",
    "SchemaError",
    "item_change_tables",
    "load_item_types",
    "load_landing_tables",
    "match_item_type",
    "snake_case",
]
