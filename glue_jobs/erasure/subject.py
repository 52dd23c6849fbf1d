"""Who is to be erased, and which lines and rows are of them: pure.

A record is of a subject if it is the subject or refers to it. A FHIR resource refers by a literal reference
(``Patient/a``, absolute, or versioned); an item by an attribute whose declaration ``references`` the type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from glue_jobs.lake.errors import ArgumentError
from glue_jobs.lake.tables import literal, quoted
from schemas import ItemType

_RESOURCE: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})")
_ENVELOPE: Final = ("keys", "item_type")


@dataclass(frozen=True)
class Subject:
    """A resource (``item_type`` None, ``key`` its id) or an item (``key`` its one or two keys as texts)."""

    type: str
    key: tuple[str, ...]
    item_type: ItemType | None = None

    @property
    def needle(self) -> str:
        """A text that every record of the subject holds."""
        return max(self.key, key=len)

    @property
    def reference(self) -> str:
        """How other resources refer to it."""
        return f"{self.type}/{self.key[0]}"

    @property
    def reference_pattern(self) -> str:
        """A regular expression, the same in Python and Java, for a JSON string that refers to it."""
        escaped = f"{self.type}/{self.key[0]}".replace(".", "[.]")
        return rf'"(?:[^"]*/)?{escaped}(?=["/|])'


def parse_subject(resource: str | None, item: str | None, item_types: Mapping[str, ItemType]) -> Subject:
    """``Type/id``, or ``<item type>/<key>[/<sort key>]``: exactly one of the two.

    Raises
    ------
    ArgumentError : it names no subject; the message does not repeat it, for it may name a person
    """
    if bool(resource) == bool(item):
        raise ArgumentError("Not exactly one subject is named", "Give a resource, or an item")
    if resource:
        match = _RESOURCE.fullmatch(resource)
        if match is None:
            raise ArgumentError("The resource is not of the form Type/id", "Give it as Patient/1234")
        return Subject(match[1], (match[2],))
    name, _, rest = str(item).partition("/")
    if name not in item_types:
        known = ", ".join(sorted(item_types))
        raise ArgumentError("The item's type is not declared", f"Declared are {known}")
    declared = item_types[name]
    key = tuple(rest.split("/", len(declared.keys) - 1))
    if len(key) != len(declared.keys) or not all(key):
        wanted = "/".join(f"<{each.name}>" for each in declared.keys)
        raise ArgumentError("The item's key is not whole", f"Give it as {name}/{wanted}")
    return Subject(name, key, declared)


def keep(subject: Subject, object_key: str, line: bytes, item_types: Mapping[str, ItemType]) -> bytes | None:
    """What may stay of a landed line: all of it, some of a list of deletions, or nothing (None)."""
    if subject.needle.encode() not in line:
        return line
    text = line.decode("utf-8", "replace").replace("\\/", "/")
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        # It cannot be read, so it is enough that it names them.
        named = f'"{subject.needle}"' in text or _refers(subject, text)
        return None if named else line
    if all(name in parsed for name in _ENVELOPE):
        return None if _item_is(subject, parsed, item_types) else line
    if subject.item_type is not None:
        return line
    if "/deleted/" in object_key:
        return _without_deletion(subject, parsed, line)
    own = parsed.get("resourceType") == subject.type and parsed.get("id") == subject.key[0]
    return None if own or _refers(subject, text) else line


def mentions(subject: Subject, line: bytes) -> bool:
    """Whether a line that stays still names the subject, as far as text can tell."""
    text = line.decode("utf-8", "replace").replace("\\/", "/")
    return f'"{subject.needle}"' in text or (subject.item_type is None and _refers(subject, text))


def resource_predicate(subject: Subject) -> str:
    """SQL over ``conformed.fhir_resource``: the resource itself, and those that refer to it."""
    own = f"(resource_type = {literal(subject.type)} and id = {literal(subject.key[0])})"
    return f"({own} or coalesce(replace(resource, '\\\\/', '/') rlike {literal(subject.reference_pattern)}, false))"


def item_predicate(subject: Subject, item_type: ItemType) -> str | None:
    """SQL over the tables of an item type; None where none of its rows can be the subject's."""
    if subject.item_type is not None:
        if subject.item_type.name != item_type.name:
            return None
        pairs = zip(item_type.keys, subject.key, strict=True)
        return " and ".join(f"{_text_of(key.column, key.type)} = {literal(text)}" for key, text in pairs)
    columns = [each.column for each in item_type.columns if each.references == subject.type]
    tests = [f"cast({quoted(column)} as string) = {literal(subject.key[0])}" for column in columns]
    return " or ".join(tests) or None


def _text_of(column: str, declared: str) -> str:
    """A key column as the text that DynamoDB has of it."""
    if declared == "timestamp_millis":
        return f"cast(unix_millis({quoted(column)}) as string)"
    return f"cast({quoted(column)} as string)"


def _refers(subject: Subject, text: str) -> bool:
    return subject.item_type is None and re.search(subject.reference_pattern, text) is not None


def _item_is(subject: Subject, envelope: Mapping[str, Any], item_types: Mapping[str, ItemType]) -> bool:
    images = [envelope.get(name) or {} for name in ("keys", "new_image", "old_image")]
    declared = item_types.get(str(envelope.get("item_type")))
    if subject.item_type is not None:
        keys = tuple(str(images[0].get(each.name)) for each in subject.item_type.keys)
        same_table = envelope.get("table_name") in (None, subject.item_type.table_name)
        return same_table and keys == subject.key
    if declared is None:
        return False
    names = [each.name for each in declared.columns if each.references == subject.type]
    return any(str(image.get(name)) == subject.key[0] for image in images for name in names)


def _without_deletion(subject: Subject, bundle: dict[str, Any], line: bytes) -> bytes | None:
    entries = bundle.get("entry") or []
    left = [each for each in entries if each.get("request", {}).get("url") != subject.reference]
    if len(left) == len(entries):
        return line
    return json.dumps({**bundle, "entry": left}).encode() if left else None
