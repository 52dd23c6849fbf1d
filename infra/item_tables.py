"""The DynamoDB tables of the item types, with the streams that the lake follows."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.settings import Settings
from infra.storage import removal
from schemas.item_type import Attribute, ItemType

TIME_TO_LIVE = "expiresAt"
"""Epoch seconds after which DynamoDB removes an item; items without it stay."""

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


def table(
    scope: Construct,
    id_: str,
    name: str,
    keys: tuple[tuple[str, str], ...],
    settings: Settings,
    key: kms.IKey,
    *,
    stream: bool,
) -> dynamodb.Table:
    """A table on demand, encrypted with our key, recoverable to any second of the last 35 days."""
    attributes = [dynamodb.Attribute(name=attribute, type=_ATTRIBUTE_TYPES[kind]) for attribute, kind in keys]
    return dynamodb.Table(
        scope,
        id_,
        table_name=name,
        partition_key=attributes[0],
        sort_key=attributes[1] if len(attributes) > 1 else None,
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=key,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if stream else None,
        time_to_live_attribute=TIME_TO_LIVE,
        deletion_protection=settings.retain_data,
        removal_policy=removal(settings),
    )


_ATTRIBUTE_TYPES = {
    "S": dynamodb.AttributeType.STRING,
    "N": dynamodb.AttributeType.NUMBER,
    "B": dynamodb.AttributeType.BINARY,
}


class ItemTables(Construct):
    """One table per `table_name` of the item types."""

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, key: kms.IKey, item_types: Iterable[ItemType]
    ) -> None:
        super().__init__(scope, id_)
        self.tables = {
            name: table(self, _construct_id(name), name, keys, settings, key, stream=True)
            for name, keys in sorted(table_keys(item_types).items())
        }


def _construct_id(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
