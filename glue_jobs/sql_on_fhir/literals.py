"""Literals and constants as values, checked against the lexical rules of their type."""

from __future__ import annotations

import re
from collections.abc import Mapping

from glue_jobs.sql_on_fhir.errors import ViewDefinitionError
from glue_jobs.sql_on_fhir.sql import quote_text
from glue_jobs.sql_on_fhir.values import INTEGERS, Value

_DATE = r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"
_TIME = r"([01]\d|2[0-3])(:[0-5]\d(:([0-5]\d|60)(\.\d+)?)?)?"
_ZONE = r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))"
LEXICAL: Mapping[str, re.Pattern[str]] = {
    "date": re.compile(_DATE),
    "dateTime": re.compile(rf"{_DATE}(T({_TIME}{_ZONE}?)?)?"),
    "instant": re.compile(rf"{_DATE}T{_TIME}{_ZONE}"),
    "time": re.compile(_TIME),
    "decimal": re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"),
    "integer": re.compile(r"[+-]?\d+"),
    # Without their prefix, identifiers are common in views and leave no doubt.
    "oid": re.compile(r"(urn:oid:)?[0-2](\.(0|[1-9]\d*))+"),
    "uuid": re.compile(r"(urn:uuid:)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "id": re.compile(r"[A-Za-z0-9.-]{1,64}"),
    "code": re.compile(r"\S+( \S+)*"),
    **dict.fromkeys(("uri", "url", "canonical"), re.compile(r"\S+")),
    "base64Binary": re.compile(r"(\s*[0-9A-Za-z+/=]{4}\s*)+"),
}

# The value[x] of a constant, by the name of its key.
CONSTANT_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(
        [
            "base64Binary",
            "canonical",
            "code",
            "date",
            "dateTime",
            "id",
            "instant",
            "oid",
            "string",
            "time",
            "uri",
            "url",
            "uuid",
        ],
        str,
    ),
    "boolean": bool,
    "decimal": (int, float, str),
    "integer": int,
    "integer64": (int, str),
    "positiveInt": int,
    "unsignedInt": int,
}
_MINIMUM: Mapping[str, int] = {"positiveInt": 1, "unsignedInt": 0}


def literal(type_name: str, text: str) -> Value:
    """The value of a literal of a type; raises ValueError where the text is not one."""
    pattern = LEXICAL.get("integer" if type_name in INTEGERS else type_name)
    if pattern is not None and not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not a {type_name}")
    if type_name == "boolean":
        return Value(text, "boolean", literal=text)
    if type_name in INTEGERS:
        return _integer(type_name, int(text))
    if type_name == "dateTime" and text.endswith("T"):
        text = text[:-1]
    return Value(quote_text(text), type_name, literal=text)


def _integer(type_name: str, number: int) -> Value:
    limit = 63 if type_name == "integer64" else 31
    if not -(2**limit) <= number < 2**limit or number < _MINIMUM.get(type_name, number):
        raise ValueError(f"{number} is out of range for {type_name}")
    suffix = "L" if type_name == "integer64" else ""
    return Value(f"({number}{suffix})" if number < 0 else f"{number}{suffix}", type_name, literal=str(number))


def constant(definition: Mapping[str, object], location: str) -> Value:
    """The value of one `constant` of a view: exactly one value[x], of the JSON type that FHIR gives it."""
    keys = [key for key in definition if key.startswith("value")]
    if len(keys) != 1:
        raise ViewDefinitionError(
            "a constant needs exactly one value[x], such as valueString", location=location
        )
    key = keys[0]
    type_name = next((t for t in CONSTANT_TYPES if key == "value" + t[0].upper() + t[1:]), None)
    if type_name is None:
        raise ViewDefinitionError(f"{key} is not a type that a constant can have", location=location)
    raw, expected = definition[key], CONSTANT_TYPES[type_name]
    if not isinstance(raw, expected) or (isinstance(raw, bool) and type_name != "boolean"):
        raise ViewDefinitionError(
            f"{key} holds a JSON {_json_type(raw)}, not a {type_name}", location=location
        )
    if raw == "":
        raise ViewDefinitionError(f"{key} is empty", location=location)
    text = str(raw).lower() if isinstance(raw, bool) else str(raw)
    try:
        return literal(type_name, text)
    except ValueError as error:
        raise ViewDefinitionError(str(error), location=location) from error


def _json_type(raw: object) -> str:
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "boolean"),
        (str, "string"),
        ((int, float), "number"),
        (dict, "object"),
        (list, "array"),
    )
    return next((name for kind, name in names if isinstance(raw, kind)), "null")
