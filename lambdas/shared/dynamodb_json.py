"""DynamoDB's typed JSON (``{"N": "1.50"}``) to plain JSON text, exactly.

Text in, text out: a number's digits are copied as they came and never become a Python number, because
DynamoDB keeps 38 digits, a float 15, and even ``decimal`` contexts round. This is the hot path of the
sinks, so it writes strings instead of building objects to serialise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

# DynamoDB writes numbers as JSON does; its range (1E-130 to 9.9E+125) bounds the exponent.
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?").fullmatch
_LOOSE_NUMBER = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]{1,3})?").fullmatch
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?").fullmatch


class NotDynamoDbJsonError(ValueError):
    """Raised when a value is not DynamoDB JSON; says what is wrong, never the value itself.

    Attributes
    ----------
    problem : what was expected
    attribute : the top-level attribute it was found in, empty until known
    """

    def __init__(self, problem: str, attribute: str = "") -> None:
        self.problem = problem
        self.attribute = attribute
        super().__init__(f"{attribute}: {problem}" if attribute else problem)


@lru_cache(maxsize=4096)
def _member_name(name: str) -> str:
    """Attribute names repeat in every record; map keys may not, hence the bound."""
    return encode_basestring(name) + ":"


def number_text(value: object) -> str:
    """The digits of a DynamoDB number as a JSON number: verbatim where they are one already.

    ``+5``, ``007`` and ``.5``, which DynamoDB does not write but its imitations do, are respelt with the
    same digits.

    Raises
    ------
    NotDynamoDbJsonError : not a number
    """
    if not isinstance(value, str):
        raise NotDynamoDbJsonError("a number must be a text of digits")
    if _JSON_NUMBER(value):
        return value
    loose = _LOOSE_NUMBER(value)
    if not loose or not any(character.isdigit() for character in value):
        raise NotDynamoDbJsonError("not a number")
    sign, whole, fraction, exponent = loose.groups()
    return f"{'-' * (sign == '-')}{whole or '0'}{'.' + fraction if fraction else ''}{exponent or ''}"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise NotDynamoDbJsonError("S must be a text")
    return encode_basestring(value)


def _binary(value: Any) -> str:
    if not isinstance(value, str) or not _BASE64(value):
        raise NotDynamoDbJsonError("B must be base64 text")
    return f'"{value}"'


def _boolean(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise NotDynamoDbJsonError("BOOL must be true or false")


def _null(_value: Any) -> str:
    return "null"


def _elements(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NotDynamoDbJsonError("sets and lists must be arrays")
    return value


def _numeric_order(text: str) -> tuple[Decimal, str]:
    return Decimal(text), text  # Decimal() of a text is exact: only arithmetic rounds


def _string_set(value: Any) -> str:
    # Sorted as texts, not as their escaped forms: by code point, which is the order of their UTF-8 too.
    texts = _elements(value)
    if not all(isinstance(each, str) for each in texts):
        raise NotDynamoDbJsonError("SS must hold texts")
    return f"[{','.join(map(encode_basestring, sorted(texts)))}]"


def _number_set(value: Any) -> str:
    return f"[{','.join(sorted(map(number_text, _elements(value)), key=_numeric_order))}]"


def _binary_set(value: Any) -> str:
    return f"[{','.join(sorted(map(_binary, _elements(value))))}]"


def _list(value: Any) -> str:
    return f"[{','.join(map(value_json, _elements(value)))}]"


def _map(value: Any) -> str:
    if not isinstance(value, dict):
        raise NotDynamoDbJsonError("M must be a map")
    return "{" + ",".join([_member_name(name) + value_json(value[name]) for name in sorted(value)]) + "}"


_WRITERS: Mapping[str, Callable[[Any], str]] = {
    "S": _string,
    "N": number_text,
    "BOOL": _boolean,
    "NULL": _null,
    "M": _map,
    "L": _list,
    "SS": _string_set,
    "NS": _number_set,
    "B": _binary,
    "BS": _binary_set,
}


def value_json(attribute_value: Any) -> str:
    """The JSON text of one attribute value, ``{"L": [{"N": "1"}]}`` → ``[1]``; sets become sorted arrays.

    Raises
    ------
    NotDynamoDbJsonError : not an attribute value
    """
    try:
        ((tag, value),) = attribute_value.items()
    except (AttributeError, TypeError, ValueError):
        raise NotDynamoDbJsonError("a value must be one type tag with its value") from None
    writer = _WRITERS.get(tag)
    if writer is None:
        raise NotDynamoDbJsonError(f"unknown type; known are {', '.join(_WRITERS)}")
    return writer(value)


def image_json(image: Any) -> str:
    """The JSON text of an item, its attributes sorted by name so that one item always gives one text.

    Raises
    ------
    NotDynamoDbJsonError : naming the attribute
    """
    return object_json(image_members(image))


def object_json(members: Mapping[str, str]) -> str:
    """The members that ``image_members`` gave, as one object."""
    return "{" + ",".join(members.values()) + "}"


def image_members(
    image: Any, like: Mapping[str, Any] | None = None, written: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The text of each attribute as a member of an object, by name, in order.

    ``written`` are the members of the image ``like``: attributes that are the same there are not written a
    second time. Keys are in every image, and most of a changed item stays as it was.

    Raises
    ------
    NotDynamoDbJsonError : naming the attribute
    """
    if not isinstance(image, dict):
        raise NotDynamoDbJsonError("an image must be a map of attributes")
    former, texts = like or {}, written or {}
    members: dict[str, str] = {}
    name = ""
    try:
        for name, prefix in _in_order(tuple(image)):
            value = image[name]
            if name in texts and former[name] == value:
                members[name] = texts[name]
                continue
            # The type that most attributes have, without a call for each.
            content = value.get("S") if value.__class__ is dict and len(value) == 1 else None
            if content.__class__ is str:
                members[name] = prefix + encode_basestring(content)
            else:
                members[name] = prefix + value_json(value)
    except NotDynamoDbJsonError as error:
        raise NotDynamoDbJsonError(error.problem, name) from None
    return members


@lru_cache(maxsize=4096)
def _in_order(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Names sorted, each with its text as a member: the items of a type have mostly the same ones."""
    return tuple((name, encode_basestring(name) + ":") for name in sorted(names))
