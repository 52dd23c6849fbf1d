"""Stream records for the tests of the sink, and a plain evaluator of DynamoDB JSON to hold it against."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from lambdas.shared.item_change import Landed
from schemas.item_type import ItemType, load_item_types

REGISTRY = "watershed-registry"
SITE_ACTIVITY = "watershed-site-activity"
LANDED_ONCE = Landed(datetime(2026, 3, 1, 12, tzinfo=UTC), "test:1")


def item_types() -> list[ItemType]:
    return list(load_item_types().values())


def record(
    sequence: int | str,
    keys: dict[str, Any],
    new: dict[str, Any] | None = None,
    old: dict[str, Any] | None = None,
    *,
    table: str = REGISTRY,
    at: float = 1_772_000_000,
    **rest: Any,
) -> dict[str, Any]:
    """A record as Lambda passes it; the event name follows from the images."""
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": at,
        "Keys": keys,
        "SequenceNumber": str(sequence),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    for name, image in (("NewImage", new), ("OldImage", old)):
        if image is not None:
            change[name] = {**keys, **image}
    return {
        "eventID": f"event-{sequence}",
        "eventName": "REMOVE" if new is None else "INSERT" if old is None else "MODIFY",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/2026-01-01T00:00",
        "dynamodb": change,
        **rest,
    }


def registry_key(id_: str = "p1", sort: str = "PATIENT") -> dict[str, Any]:
    return {"id": {"S": id_}, "sk": {"S": sort}}


def patient(**attributes: Any) -> dict[str, Any]:
    return {"itemType": {"S": "Patient"}, **attributes}


def reading(sequence: int, site: str | None = "s-1", **rest: Any) -> dict[str, Any]:
    """A site's reading; the hour of the change moves on every tenth sequence number."""
    keys = {"siteId": {"S": site}, "createdAtTime": {"N": str(1_772_000_000_000 + sequence)}}
    new = {"valueOne": {"N": f"{sequence}.50"}}
    return record(sequence, keys, new, table=SITE_ACTIVITY, at=1_772_000_000 + sequence // 10 * 3600, **rest)


def plain(value: dict[str, Any]) -> Any:
    """What an attribute value means, computed the obvious way; numbers as exact decimals."""
    ((tag, content),) = value.items()
    meaning: dict[str, Callable[[Any], Any]] = {
        "N": Decimal,
        "NS": lambda each: sorted(map(Decimal, each)),
        "SS": sorted,
        "BS": sorted,
        "L": lambda each: list(map(plain, each)),
        "M": lambda each: {name: plain(inner) for name, inner in each.items()},
        "NULL": lambda _: None,
    }
    return meaning[tag](content) if tag in meaning else content
