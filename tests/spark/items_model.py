"""What the tables of items must hold, computed from the changes in plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.unit.items.records import plain

Row = tuple[Any, ...]
_LONG = 2**63
_DECLARED = ("amount", "whole", "label", "tags", "kind")


def typed(image: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The declared values and ``_extra`` of an image in DynamoDB JSON; None where a type is wrong."""
    amount, whole, label, tags = (image.get(name) for name in ("amount", "whole", "label", "tags"))
    checks = (
        amount is None or ("N" in amount and _decimals(amount["N"]) <= 9),
        whole is None
        or ("N" in whole and _decimals(whole["N"]) <= 0 and -_LONG <= Decimal(whole["N"]) < _LONG),
        label is None or "S" in label or "NULL" in label,
        tags is None or "SS" in tags,
    )
    if not all(checks):
        return None
    extra = {name: value for name, value in image.items() if name not in (*_DECLARED, "id", "at")}
    return (
        None if amount is None else Decimal(amount["N"]),
        None if whole is None else int(Decimal(whole["N"])),
        None if label is None else plain(label),
        None if tags is None else tuple(plain(tags)),
        json.dumps({name: _written(extra[name]) for name in sorted(extra)}) if extra else None,
    )


def _decimals(digits: str) -> int:
    exponent = Decimal(digits).normalize().as_tuple().exponent if Decimal(digits) else 0
    return -int(exponent)


def _written(value: dict[str, Any]) -> Any:
    """An undeclared value, with its numbers as their digits."""
    ((tag, content),) = value.items()
    if tag == "M":
        return {name: _written(content[name]) for name in sorted(content)}
    return content if tag == "N" else plain(value)


def versions(changes: Iterable[Mapping[str, Any]], kind: str) -> tuple[set[Row], set[Row]]:
    """The rows of the current and of the history table of one kind, from every change ever made."""
    by_key: dict[Row, list[Row]] = {}
    for record in changes:
        change = record["dynamodb"]
        key = (change["Keys"]["id"]["S"], int(change["Keys"]["at"]["N"]))
        new, old = change.get("NewImage"), change.get("OldImage")
        if kind not in {image["kind"]["S"] for image in (new, old) if image}:
            continue
        gone = new is None or new["kind"]["S"] != kind
        values = (None,) * 5 if gone else typed(new)
        if values is None:
            continue
        event = "REMOVE" if gone else record["eventName"]
        at, number = change["ApproximateCreationDateTime"], int(change["SequenceNumber"])
        by_key.setdefault(key, []).append((number, at, event, "userIdentity" in record, values))
    current, history = set(), set()
    for key, changed in by_key.items():
        changed.sort()
        starts = [max(at for _, at, *_ in changed[: index + 1]) for index in range(len(changed))]
        for index, (number, at, event, expired, values) in enumerate(changed):
            last, removed = index == len(changed) - 1, event == "REMOVE"
            until = starts[index] if removed else None if last else starts[index + 1]
            row = (*key, *values, str(number), _text(at))
            history.add(
                (*row, _text(starts[index]), until and _text(until), last and not removed, event, expired)
            )
            if last and not removed:
                current.add(row)
    return current, history


def _text(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def as_row(row: Mapping[str, Any], *, history: bool) -> Row:
    """A table's row in the model's shape."""
    extra = row["_extra"]
    read = extra and json.dumps(json.loads(extra, parse_int=str, parse_float=str))
    columns = (
        row["id"], _millis(row["at"]), row["amount"], row["whole"], row["label"],
        None if row["tags"] is None else tuple(row["tags"]), read, row["_sequence_number"], row["_changed_at"],
    )  # fmt: skip
    if not history:
        return columns
    return (
        *columns,
        row["_valid_from"],
        row["_valid_to"],
        row["_is_current"],
        row["_event_name"],
        row["_expired"],
    )


def _millis(text: str) -> int:
    return round(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)
