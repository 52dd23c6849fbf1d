"""A line of a DynamoDB export to S3 to the envelope lines that land, beside those of the stream.

A full export has the items of one moment (``{"Item": …}``); an incremental one has, for each item written
within a period, what became of it by the end (``{"Metadata", "Keys", "NewImage"?, "OldImage"?}``, no new
image where it was deleted). Source:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html

An export knows no sequence numbers. Its lines have none, and their event id ends in the moment that the
export shows, by which ``conform_items`` finds their place among the changes of the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

from lambdas.shared.hive import hour_path, partition_path
from lambdas.shared.item_change import Envelope, ItemChangeError, ItemTypeIndex, Landed, image_text
from schemas.item_type import UNMATCHED, ItemType

BACKFILL = "BACKFILL"


@dataclass(frozen=True, slots=True)
class Export:
    """What an export shows: one table at ``shown_at``, all of it, or what was written from ``since`` on, with
    or without the items as they were then."""

    export_id: str
    table_name: str
    shown_at: datetime
    since: datetime | None = None
    old_images: bool = True

    @property
    def event_id(self) -> str:
        """The event id of its lines, ``export/<id>@<moment>``."""
        return f"export/{self.export_id}@{_time(self.shown_at)}"


@dataclass(frozen=True, slots=True)
class TableTypes:
    """The declared types of one table, and the names of its keys, partition key first."""

    declared: Sequence[ItemType]
    index: ItemTypeIndex
    keys: tuple[str, ...]

    @classmethod
    def of(cls, table_name: str, item_types: Iterable[ItemType]) -> TableTypes | None:
        """Those of a table; None where no type is declared for it."""
        declared = [each for each in item_types if each.table_name == table_name]
        if not declared:
            return None
        return cls(declared, ItemTypeIndex(declared), tuple(each.name for each in declared[0].keys))


def exported_item(
    line: Mapping[str, Any], export: Export, types: TableTypes, landed: Landed
) -> list[Envelope]:
    """The envelopes of one exported line.

    What an incremental export shows lands under every type that the item was or is of; where the export has
    no old images, under every type of the table: the type that it left has to see it leave.

    Raises
    ------
    ItemChangeError : the line cannot be read
    """
    new: dict[str, Any] | None
    if "Item" in line:
        new = _map(line, "Item")
        keys = {name: new[name] for name in types.keys if name in new}
        made_at, claims = export.shown_at, [types.index.match(export.table_name, new)]
    else:
        keys, made_at = _map(line, "Keys"), _written_at(line)
        new = _map(line, "NewImage") if line.get("NewImage") is not None else None
        claims = _claims(line, new, export, types)
    if set(keys) != set(types.keys):
        raise ItemChangeError("not_an_exported_item", f"keys must be {', '.join(types.keys)}")
    event_name = "REMOVE" if new is None else BACKFILL
    before = (
        f'{{"event_id":{encode_basestring(export.event_id)},"event_name":"{event_name}",'
        f'"sequence_number":null,"changed_at":"{_time(made_at)}",'
        f'"table_name":{encode_basestring(export.table_name)},"item_type":'
    )
    after = (
        f',"keys":{image_text("Keys", keys)},"new_image":{image_text("NewImage", new)},"old_image":null,'
        f'"expired":false,{landed.members}}}\n'
    )
    return [_envelope(each, before, after, export) for each in claims]


def _claims(
    line: Mapping[str, Any], new: Mapping[str, Any] | None, export: Export, types: TableTypes
) -> list[ItemType | None]:
    now = types.index.match(export.table_name, new) if new is not None else None
    others: list[ItemType | None] = []
    if not export.old_images:
        others += [each for each in types.declared if each is not now]
    elif line.get("OldImage") is not None:
        former = types.index.match(export.table_name, _map(line, "OldImage"))
        others += [former] if former is not None and former is not now else []
    claims = [now, *others] if new is not None else others
    return claims or [None]


def _envelope(item_type: ItemType | None, before: str, after: str, export: Export) -> Envelope:
    name = item_type.name if item_type else UNMATCHED
    folder = partition_path((("table_name", export.table_name), ("item_type", name)))
    # Not by the type's attributes: an export has them all, and would become an object for each value.
    attributes = partition_path((each, None) for each in (item_type.partition_by if item_type else ()))
    try:
        line = f"{before}{encode_basestring(name)}{after}".encode()
    except UnicodeEncodeError:
        raise ItemChangeError("not_unicode", "holds half of a surrogate pair") from None
    return Envelope(name, f"items/{folder}{attributes}{hour_path(export.shown_at.astimezone(UTC))}", line)


def _map(line: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = line.get(name)
    if not isinstance(value, dict) or not value:
        raise ItemChangeError("not_an_exported_item", f"{name} must be a map that is not empty")
    return value


def _written_at(line: Mapping[str, Any]) -> datetime:
    try:
        micros = int(line["Metadata"]["WriteTimestampMicros"]["N"])
        return datetime.fromtimestamp(micros // 10**6, UTC).replace(microsecond=micros % 10**6)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ItemChangeError(
            "not_an_exported_item", "Metadata.WriteTimestampMicros must be a number"
        ) from None


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
