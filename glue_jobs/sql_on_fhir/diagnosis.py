"""What is wrong with one line, said precisely. Plain Python, for the few lines that Spark could not read as asked.

Problems name elements by path and never quote values: lines are health data.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from glue_jobs.sql_on_fhir.needs import BOOLEAN, INTEGER, STRUCT, TEXT, Need
from schemas.fhir import element_model

_INT_RANGE = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a line; `element` is its FHIRPath-like place (`Patient.name[0].given`)."""

    resource_type: str | None
    id: str | None
    element: str
    reason: str


class _Duplicate(dict[str, Any]):
    """An object whose JSON repeated a key."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    keys = [key for key, _ in pairs]
    marked = _Duplicate(found)
    marked.repeated = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return marked


class _Number(float):
    """A JSON number with a fraction or exponent."""


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


_MARK, _SPACE = "\ufeff", " \t\r\n"
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_Number, parse_constant=_no_number)


def diagnose(
    text: str, needs: Mapping[str, Need], *, broken: bool = False, unread: bool = False
) -> list[Problem]:
    """Everything wrong with a line, as far as the views of its type can tell; empty for a good line.

    What the decoded text does not show: `broken` says that the bytes of the line were not UTF-8, `unread` that
    Spark could not read the line, which then is a problem whatever Python finds.
    """
    if not text.strip():
        return []
    with _deep_recursion():
        return _diagnosed(text, needs, broken, unread)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Room for the 1,000 levels of JSON that Spark reads: Python's own limit counts three or four for each."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 10_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _diagnosed(text: str, needs: Mapping[str, Need], broken: bool, unread: bool) -> list[Problem]:
    whole: list[tuple[str, str]] = [("", "bytes that are not UTF-8")] if broken else []
    if text.startswith(_MARK):
        whole.append(("", "a byte order mark before the resource"))
    body = text.removeprefix(_MARK).strip(_SPACE)
    try:
        resource, end = _DECODER.raw_decode(body)
    except (ValueError, RecursionError) as error:
        place = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        return [Problem(None, None, *found) for found in [*whole, ("", f"not JSON{place}")]]
    if rest := body[end:].lstrip(_SPACE):
        what = "another resource" if rest.startswith("{") else "text"
        whole.append(("", f"{what} behind the resource, which is not read"))
    if not isinstance(resource, dict):
        return [
            Problem(None, None, *found) for found in [*whole, ("", f"not an object but {_kind(resource)}")]
        ]
    kind, identifier = resource.get("resourceType"), resource.get("id")
    found = [*whole, *_of_resource(resource, kind, needs)]
    if unread and not found:
        found.append(("", "more than Spark reads of one line: too deep, or a text or number too long"))
    known = kind if isinstance(kind, str) else None
    return [Problem(known, _text(identifier), element, reason) for element, reason in found]


def _of_resource(
    resource: Mapping[str, Any], kind: object, needs: Mapping[str, Need]
) -> Iterator[tuple[str, str]]:
    if not isinstance(kind, str):
        yield "resourceType", "no resourceType"
        kind = ""
    elif not element_model().is_resource(kind):
        yield "resourceType", "no resource type of FHIR R4"
    yield from _duplicates(resource, kind)
    if kind in needs:
        yield from _shape(resource, needs[kind], kind)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _kind(value: object) -> str:
    for types, name in (
        ((bool,), "a boolean"),
        ((int, float), "a number"),
        ((str,), "a string"),
        ((list,), "an array"),
        ((dict,), "an object"),
    ):
        if isinstance(value, types):
            return name
    return "null"


def _duplicates(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value, _Duplicate):
            yield from (
                (f"{place}.{key}", "the key occurs twice; the last one counts") for key in value.repeated
            )
        for key, child in value.items():
            yield from _duplicates(child, f"{place}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _duplicates(child, f"{place}[{index}]")


def _shape(value: Mapping[str, Any], need: Need, place: str) -> Iterator[tuple[str, str]]:
    """Where an object differs in shape from what is needed of it."""
    for key, child in sorted(need.children.items()):
        if value.get(key) is None or not _is_meant(value, need, key, child):
            continue
        where, item = f"{place}.{key}", value[key]
        if not child.repeats:
            yield from _item(item, child, where)
        elif not isinstance(item, list):
            yield where, f"{_kind(item)} where an array belongs"
        else:
            for index, entry in enumerate(item):
                if entry is not None:
                    yield from _item(entry, child, f"{where}[{index}]")


def _is_meant(value: Mapping[str, Any], need: Need, key: str, child: Need) -> bool:
    """Whether the key of a contained resource is the element that views read, and not one of another type."""
    if need.fhir_type != "Resource":
        return True
    element = element_model().element(str(value.get("resourceType")), key)
    return element is None or child.fhir_type in element.types


def _item(value: object, need: Need, place: str) -> Iterator[tuple[str, str]]:
    expected = _expected(need)
    if need.kind in (STRUCT, TEXT) and isinstance(value, dict):
        yield from _shape(value, need.nodes or need, place)
    elif not _fits(value, need):
        yield place, f"{_kind(value)} where {expected} belongs"


def _expected(need: Need) -> str:
    if need.fhir_type == "decimal":
        return "a number"
    return {
        STRUCT: "an object",
        TEXT: "an object",
        BOOLEAN: "a boolean",
        INTEGER: "a whole number of 32 bits",
    }.get(need.kind, "a string")


def _fits(value: object, need: Need) -> bool:
    if need.fhir_type == "decimal":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if need.kind == BOOLEAN:
        return isinstance(value, bool)
    if need.kind == INTEGER:
        return isinstance(value, int) and not isinstance(value, bool) and value in _INT_RANGE
    if need.fhir_type == "integer64" and isinstance(value, int) and not isinstance(value, bool):
        return True
    return need.kind not in (STRUCT, TEXT) and isinstance(value, str)
