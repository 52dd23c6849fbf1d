"""Items in and out of DynamoDB, and how many stream changes a set of writes must make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from local.sample.changes import ItemDelete
from local.sample.items import Item, TableItem

_FROM_WIRE = TypeDeserializer()
_TO_WIRE = TypeSerializer()


def _wire(item: Item) -> dict[str, Any]:
    return {name: _TO_WIRE.serialize(value) for name, value in item.items()}


def _plain(item: dict[str, Any]) -> Item:
    return {name: _FROM_WIRE.deserialize(value) for name, value in item.items()}


def scan_items(dynamodb: Any, table: str) -> list[Item]:
    """Every item of a table, read consistently."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [_plain(item) for page in pages for item in page["Items"]]


def put_items(dynamodb: Any, items: Iterable[TableItem]) -> int:
    """Put each item on its own and count those that changed something: a write of what is there already
    makes no stream record.

    Put by put, not in batches, because the old item tells whether the put was a change.
    """
    changed = 0
    for each in items:
        wire = _wire(each.item)
        reply = dynamodb.put_item(TableName=each.table, Item=wire, ReturnValues="ALL_OLD")
        changed += _plain(reply.get("Attributes", {})) != each.item
    return changed


def delete_items(dynamodb: Any, deletes: Sequence[ItemDelete]) -> int:
    """Delete each item, and count those that were there."""
    removed = 0
    for each in deletes:
        reply = dynamodb.delete_item(TableName=each.table, Key=_wire(each.key), ReturnValues="ALL_OLD")
        removed += bool(reply.get("Attributes"))
    return removed
