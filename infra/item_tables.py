"""The DynamoDB tables of the item types, with the streams that the lake follows."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.item_keys import table_keys
from infra.names import camel
from infra.policies import accept
from infra.settings import Settings, SettingsError
from infra.storage import removal
from schemas.item_type import ItemType

TIME_TO_LIVE = "expiresAt"
"""Epoch seconds after which DynamoDB removes an item; items without it stay."""


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
    made = dynamodb.Table(
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
    accept(
        made,
        "HIPAA.Security::HIPAA.Security-DynamoDBInBackupPlan",
        "Point-in-time recovery covers the last 35 days, to the second; older backups would hold what was erased.",
    )
    return made


_ATTRIBUTE_TYPES = {
    "S": dynamodb.AttributeType.STRING,
    "N": dynamodb.AttributeType.NUMBER,
    "B": dynamodb.AttributeType.BINARY,
}


class ItemTables(Construct):
    """One table per `table_name` of the item types: made, or where the settings name its stream, as it is."""

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, key: kms.IKey, item_types: Iterable[ItemType]
    ) -> None:
        super().__init__(scope, id_)
        keys = table_keys(item_types)
        for name in settings.existing_streams:
            if name not in keys:
                raise SettingsError(
                    "existing_streams", f"{name!r} is no table of the item types; they are {', '.join(keys)}"
                )
        self.tables: dict[str, dynamodb.ITable] = {
            name: self._existing(name, settings.existing_streams[name])
            if name in settings.existing_streams
            else table(self, camel(name, "-"), name, keys[name], settings, key, stream=True)
            for name in sorted(keys)
        }

    def _existing(self, name: str, stream_arn: str) -> dynamodb.ITable:
        return dynamodb.Table.from_table_attributes(
            self, camel(name, "-"), table_name=name, table_stream_arn=stream_arn
        )
