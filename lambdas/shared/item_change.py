"""A DynamoDB stream record to the envelope lines that land: the pure core that every delivery shares.

The input is the record as Lambda, Pipes and DynamoDB's own API give it (``eventID``, ``eventName``,
``eventSourceARN``, ``dynamodb``, ``userIdentity``). The output is bytes of NDJSON and the Hive partition
they belong under. Nothing here reads a clock or talks to AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from lambdas.shared.dynamodb_json import NotDynamoDbJsonError, image_json, number_text, record_json
from lambdas.shared.hive import MAX_SEGMENT_BYTES, hour_path, partition_path
from schemas.item_type import UNMATCHED, ItemType

EVENT_NAMES = ("INSERT", "MODIFY", "REMOVE")
_SEQUENCE_NUMBER = re.compile(r"[0-9]{1,40}").fullmatch
_STREAM_ARN = re.compile(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/([^/]+)/stream/.+").fullmatch
_NO_HOUR = partition_path((name, None) for name in ("year", "month", "day", "hour"))
_TIME_TO_LIVE = ("Service", "dynamodb.amazonaws.com")


class ItemChangeError(ValueError):
    """Raised when a record cannot become an envelope; for the quarantine, so it never quotes the item.

    Attributes
    ----------
    reason : lower_snake_case, the ``reason=`` of the quarantine partition
    detail : field or attribute at fault and what was expected
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


@dataclass(frozen=True)
class Landed:
    """When and by what a batch landed: the two fields that do not come from the record."""

    at: datetime
    by: str

    @cached_property
    def members(self) -> str:
        at = self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f'"landed_at":"{at}","landed_by":{encode_basestring(self.by)}'


class Envelope(NamedTuple):
    """One NDJSON line (with its newline) and the partition path that it lands under, from ``items/`` on.

    A tuple, as is ``ItemChange``: two frozen dataclasses cost a record half a microsecond of its eleven.
    """

    item_type: str
    partition: str
    line: bytes


class ItemChange(NamedTuple):
    """One change and its lines: one, or two where the change turned the item into another type.

    The line of the type that the item has now comes first.
    """

    event_id: str
    event_name: str
    table_name: str
    sequence_number: str
    expired: bool
    envelopes: tuple[Envelope, ...]


class ItemTypeIndex:
    """The declared types by table, ready to be matched against images in DynamoDB JSON."""

    def __init__(self, item_types: Iterable[ItemType]) -> None:
        self._by_table: dict[str, list[tuple[ItemType, dict[str, Any]]]] = {}
        for item_type in item_types:
            wanted = {name: {"S": value} for name, value in item_type.match}
            self._by_table.setdefault(item_type.table_name, []).append((item_type, wanted))

    def match(self, table_name: str, image: Mapping[str, Any]) -> ItemType | None:
        """The type whose attribute values the image has; None where no declaration claims it."""
        for item_type, wanted in self._by_table.get(table_name, ()):
            for name in wanted:
                if image.get(name) != wanted[name]:
                    break
            else:
                return item_type
        return None


def item_change(record: Mapping[str, Any], item_types: ItemTypeIndex, landed: Landed) -> ItemChange:
    """The envelopes of one stream record.

    The type is that of the new image, else of the old one, else of the keys. A change that turns an item
    of a declared type into one of another lands under both: else the tables of the type it left would
    keep showing it.

    Raises
    ------
    ItemChangeError : the record cannot be read; with the reason for the quarantine
    """
    event_id = _text(record, "eventID")
    event_name = _text(record, "eventName")
    if event_name not in EVENT_NAMES:
        raise ItemChangeError("not_a_stream_record", f"eventName must be one of {', '.join(EVENT_NAMES)}")
    change = _mapping(record, "dynamodb")
    sequence_number = _text(change, "SequenceNumber")
    if not _SEQUENCE_NUMBER(sequence_number):
        raise ItemChangeError("not_a_stream_record", "SequenceNumber must be up to 40 digits")
    changed_at, hour = _changed_at(change)
    table_name, table_json = _table(_text(record, "eventSourceARN"))
    keys = _mapping(change, "Keys")
    new, old = change.get("NewImage"), change.get("OldImage")
    images = [image for image in (new, old) if image is not None]
    for image in images:
        if not isinstance(image, dict):
            raise ItemChangeError("not_dynamodb_json", "an image must be a map of attributes")
    expired = event_name == "REMOVE" and _expired(record.get("userIdentity"))
    before = (
        f'{{"event_id":{encode_basestring(event_id)},"event_name":"{event_name}",'
        f'"sequence_number":"{sequence_number}","changed_at":{changed_at},"table_name":{table_json},"item_type":'
    )
    after = f',{_item_texts(keys, new, old)},"expired":{"true" if expired else "false"},{landed.members}}}\n'
    envelopes = []
    for item_type, image in _claims(item_types, table_name, images or [keys]):
        name = item_type.name if item_type else UNMATCHED
        own = _attribute_partitions(item_type, image) if item_type and item_type.partition_by else ""
        try:
            line = f'{before}"{name}"{after}'.encode()
        except UnicodeEncodeError:
            raise ItemChangeError("not_unicode", "holds half of a surrogate pair") from None
        envelopes.append(Envelope(name, f"{_type_path(table_name, name)}{own}{hour}", line))
    return ItemChange(event_id, event_name, table_name, sequence_number, expired, tuple(envelopes))


def _claims(
    item_types: ItemTypeIndex, table_name: str, images: list[dict[str, Any]]
) -> list[tuple[ItemType | None, dict[str, Any]]]:
    """Each type that the change concerns, with the image that says so; the type it has now comes first."""
    first = item_types.match(table_name, images[0])
    claims = [(first, images[0])]
    if len(images) > 1:
        former = item_types.match(table_name, images[1])
        if former is not None and former is not first:
            claims.append((former, images[1]))
    return claims


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ItemChangeError("not_a_stream_record", f"{name} must be a text")
    return value


def _mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict) or not value:
        raise ItemChangeError("not_a_stream_record", f"{name} must be a map that is not empty")
    return value


@lru_cache(maxsize=256)
def _table(stream_arn: str) -> tuple[str, str]:
    """The table's name, and as JSON."""
    arn = _STREAM_ARN(stream_arn)
    if not arn:
        raise ItemChangeError("not_a_stream_record", "eventSourceARN must be that of a table's stream")
    return arn[1], encode_basestring(arn[1])


def _changed_at(change: Mapping[str, Any]) -> tuple[str, str]:
    """The time of the change as JSON, and the hour's path; the API's model lets a record come without one."""
    seconds = change.get("ApproximateCreationDateTime")
    if seconds is None:
        return "null", _NO_HOUR
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ItemChangeError("not_a_stream_record", "ApproximateCreationDateTime must be epoch seconds")
    try:
        return _moment(seconds)
    except (ValueError, OverflowError, OSError):
        problem = "ApproximateCreationDateTime must be epoch seconds within the years 1 to 9999"
        raise ItemChangeError("not_a_stream_record", problem) from None


@lru_cache(maxsize=1024)
def _moment(seconds: float) -> tuple[str, str]:
    """JSON text and hour path; many changes share a second, the precision that streams give."""
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f'"{moment.isoformat().replace("+00:00", "Z")}"', hour_path(moment)


@lru_cache(maxsize=256)
def _type_path(table_name: str, item_type: str) -> str:
    return "items/" + partition_path((("table_name", table_name), ("item_type", item_type)))


def _item_texts(keys: dict[str, Any], new: Any, old: Any) -> str:
    """The members of an envelope for the keys and both images."""
    try:
        return record_json(keys, new, old)
    except NotDynamoDbJsonError:
        for name, image in (("Keys", keys), ("NewImage", new), ("OldImage", old)):
            image_text(name, image)  # one of them says where and why
        raise


def image_text(name: str, image: Any) -> str:
    """The JSON text of an image, null where there is none; ``name`` says which in errors.

    Raises
    ------
    ItemChangeError : it is not DynamoDB JSON
    """
    try:
        return "null" if image is None else image_json(image)
    except NotDynamoDbJsonError as error:
        raise ItemChangeError("not_dynamodb_json", f"{name}: {error}") from None


def _attribute_partitions(item_type: ItemType, image: Mapping[str, Any]) -> str:
    names = item_type.partition_by
    return _partitions(names, tuple([_partition_value(image.get(name)) for name in names]))


_partitions = lru_cache(maxsize=1024)(lambda names, values: partition_path(zip(names, values, strict=True)))


def _partition_value(attribute_value: Any) -> str | None:
    """The text of a scalar; None for what cannot name a folder (null, sets, lists, maps)."""
    if attribute_value is None:
        return None
    ((tag, content),) = attribute_value.items()
    if tag in ("S", "B"):
        # Longer ones name no folder, and would fill the cache.
        return content if len(content) <= MAX_SEGMENT_BYTES else None
    if tag == "N":
        return number_text(content)
    if tag == "BOOL":
        return "true" if content else "false"
    return None


def _expired(identity: Any) -> bool:
    """Time to live removes as the DynamoDB service; a user's delete carries no identity."""
    if not isinstance(identity, dict):
        return False
    # Lambda writes the fields in lower case, the streams API with a capital.
    kind = identity.get("type", identity.get("Type"))
    principal = identity.get("principalId", identity.get("PrincipalId"))
    return (kind, principal) == _TIME_TO_LIVE
