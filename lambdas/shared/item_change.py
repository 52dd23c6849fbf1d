"""A DynamoDB stream record to the envelope lines that land: the pure core that every delivery shares.

The input is the record as Lambda, Pipes and DynamoDB's own API give it (``eventID``, ``eventName``,
``eventSourceARN``, ``dynamodb``, ``userIdentity``). The output is bytes of NDJSON and the Hive partition
they belong under. Nothing here reads a clock or talks to AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from json.encoder import encode_basestring
from typing import Any

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


@dataclass(slots=True)
class Envelope:
    """One NDJSON line (with its newline) and the partition path that it lands under, from ``items/`` on.

    Nobody changes it, nor an ``ItemChange``; but a frozen dataclass takes five times as long to make, a named
    tuple twice: of each there is one for every record.
    """

    item_type: str
    partition: str
    line: bytes


@dataclass(slots=True)
class ItemChange:
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
        self._told_by: dict[str, tuple[str, dict[str, ItemType]]] = {}
        self._declared: dict[str, list[tuple[ItemType, dict[str, dict[str, str]]]]] = {}
        by_table: dict[str, list[ItemType]] = {}
        for each in item_types:
            by_table.setdefault(each.table_name, []).append(each)
        for table_name, types in by_table.items():
            conditions = [each.match[0] for each in types if len(each.match) == 1]
            if len({name for name, _ in conditions}) == 1 and len(set(conditions)) == len(types):
                # One attribute tells all types of the table apart, as is usual: one look, however many they are.
                self._told_by[table_name] = (conditions[0][0], {each.match[0][1]: each for each in types})
            else:
                self._declared[table_name] = [
                    (each, {name: {"S": value} for name, value in each.match}) for each in types
                ]

    def match(self, table_name: str, image: Mapping[str, Any]) -> ItemType | None:
        """The type whose attribute values the image has; None where no declaration claims it."""
        told_by = self._told_by.get(table_name)
        if told_by:
            try:
                return told_by[1].get(image[told_by[0]]["S"])
            except (KeyError, TypeError):
                return None
        for item_type, wanted in self._declared.get(table_name, ()):
            if all(image.get(name) == value for name, value in wanted.items()):
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
    event_name = record.get("eventName")
    if event_name not in EVENT_NAMES:
        raise ItemChangeError("not_a_stream_record", f"eventName must be one of {', '.join(EVENT_NAMES)}")
    table_name, table_json = _table(_text(record, "eventSourceARN"))
    change = _mapping(record, "dynamodb")
    sequence_number = change.get("SequenceNumber")
    if not (isinstance(sequence_number, str) and _SEQUENCE_NUMBER(sequence_number)):
        raise ItemChangeError("not_a_stream_record", "SequenceNumber must be up to 40 digits")
    seconds = change.get("ApproximateCreationDateTime")
    changed_at, hour = _moment(seconds) if type(seconds) is int else _changed_at(seconds)
    keys, new, old = _mapping(change, "Keys"), change.get("NewImage"), change.get("OldImage")
    try:
        texts = record_json(keys, new, old)
    except NotDynamoDbJsonError:
        for name, image in (("Keys", keys), ("NewImage", new), ("OldImage", old)):
            image_text(name, image)  # one of them says where and why
        raise
    expired = event_name == "REMOVE" and _expired(record.get("userIdentity"))
    envelopes = []
    for item_type, image in _claims(item_types, table_name, keys, new, old):
        name, own = UNMATCHED, ""
        if item_type is not None:
            name = item_type.name
            if item_type.partition_by:
                own = _attribute_partitions(item_type, image)
        line = (
            f'{{"event_id":{encode_basestring(event_id)},"event_name":"{event_name}",'
            f'"sequence_number":"{sequence_number}","changed_at":{changed_at},"table_name":{table_json},'
            f'"item_type":"{name}",{texts},"expired":{"true" if expired else "false"},{landed.members}}}\n'
        )
        try:
            envelopes.append(Envelope(name, f"{_type_path(table_name, name)}{own}{hour}", line.encode()))
        except UnicodeEncodeError:
            raise ItemChangeError("not_unicode", "holds half of a surrogate pair") from None
    return ItemChange(event_id, event_name, table_name, sequence_number, expired, tuple(envelopes))


def _claims(
    item_types: ItemTypeIndex,
    table_name: str,
    keys: dict[str, Any],
    new: dict[str, Any] | None,
    old: dict[str, Any] | None,
) -> Sequence[tuple[ItemType | None, dict[str, Any]]]:
    """Each type that the change concerns, with the image that says so; the type it has now comes first."""
    if new is None:
        image = keys if old is None else old
        return [(item_types.match(table_name, image), image)]
    now = item_types.match(table_name, new)
    if old is not None:
        former = item_types.match(table_name, old)
        if former is not None and former is not now:
            return [(now, new), (former, old)]
    return [(now, new)]


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


def _changed_at(seconds: Any) -> tuple[str, str]:
    """The time of the change as JSON, and the hour's path; the API's model lets a record come without one."""
    if seconds is None:
        return "null", _NO_HOUR
    if not isinstance(seconds, float):
        raise ItemChangeError("not_a_stream_record", "ApproximateCreationDateTime must be epoch seconds")
    return _moment(seconds)


@lru_cache(maxsize=1024)
def _moment(seconds: float) -> tuple[str, str]:
    """JSON text and hour path; many changes share a second, the precision that streams give."""
    try:
        moment = datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        problem = "ApproximateCreationDateTime must be epoch seconds within the years 1 to 9999"
        raise ItemChangeError("not_a_stream_record", problem) from None
    return f'"{moment.isoformat().replace("+00:00", "Z")}"', hour_path(moment)


@lru_cache(maxsize=256)
def _type_path(table_name: str, item_type: str) -> str:
    return "items/" + partition_path((("table_name", table_name), ("item_type", item_type)))


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
