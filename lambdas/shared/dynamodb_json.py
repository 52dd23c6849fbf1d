"""DynamoDB's typed JSON (``{"N": "1.50"}``) to plain JSON text, exactly.

Text in, text out: a number's digits are copied as they came and never become a Python number, because
DynamoDB keeps 38 digits, a float 15, and even ``decimal`` contexts round. This is the hot path of the
sinks, so it writes strings instead of building objects to serialise, and checks on the way only what would
not fail by itself. ``orjson`` in place of the texts was a tenth faster when tried, too little for a
compiled wheel of another architecture in every zip: nearly all of the time goes into visiting the values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import compress
from json.encoder import encode_basestring
from operator import itemgetter, ne
from typing import Any

# DynamoDB writes numbers as JSON does; its range (1E-130 to 9.9E+125) bounds the exponent.
_JSON_NUMBER = re.compile(r"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]{1,3})?+").fullmatch
_LOOSE_NUMBER = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]{1,3})?").fullmatch
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?").fullmatch

_MAX_NAMES = 200
"""Maps of more names are keyed by data, and no two of them alike: they would fill the memory of shapes."""


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
    if value.isdigit() and value.isascii() and value[0] != "0":
        return value  # most are whole, and this is a third of what the pattern takes
    if _JSON_NUMBER(value):
        return value
    loose = _LOOSE_NUMBER(value)
    if not loose or not any(character.isdigit() for character in value):
        raise NotDynamoDbJsonError("not a number")
    sign, whole, fraction, exponent = loose.groups()
    return f"{'-' * (sign == '-')}{whole or '0'}{'.' + fraction if fraction else ''}{exponent or ''}"


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
    try:
        return f"[{','.join(map(encode_basestring, sorted(_elements(value))))}]"
    except TypeError:
        raise NotDynamoDbJsonError("SS must hold texts") from None


def _number_set(value: Any) -> str:
    return f"[{','.join(sorted(map(number_text, _elements(value)), key=_numeric_order))}]"


def _binary_set(value: Any) -> str:
    return f"[{','.join(sorted(map(_binary, _elements(value))))}]"


def _list(value: Any) -> str:
    return f"[{','.join(_texts(_elements(value)))}]"


def _map(value: Any) -> str:
    if not isinstance(value, dict):
        raise NotDynamoDbJsonError("M must be a map")
    shape = _remembered_shape(tuple(value)) if len(value) <= _MAX_NAMES else _shape(tuple(value))
    return shape.json % tuple(_texts(shape.values(value)))


_WRITERS: Mapping[str, Callable[[Any], str]] = {
    "S": encode_basestring,  # a TypeError for what is no text
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


def _texts(values: Iterable[Any]) -> list[str]:
    """``value_json`` of each, checked only where this fails: the loop that everything goes through."""
    try:
        return [_WRITERS[tag](value[tag]) for value in values for (tag,) in (value,)]
    except NotDynamoDbJsonError:
        raise
    except (KeyError, TypeError, ValueError):
        return [value_json(value) for value in values]


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
    if tag == "S" and not isinstance(value, str):
        raise NotDynamoDbJsonError("S must be a text")
    writer = _WRITERS.get(tag)
    if writer is None:
        raise NotDynamoDbJsonError(f"unknown type; known are {', '.join(_WRITERS)}")
    return writer(value)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What maps of the same names share: how to take their values, sorted by name, and their text, with
    ``%s`` for each value."""

    values: Callable[[Any], tuple[Any, ...]]
    json: str


def _shape(names: tuple[str, ...]) -> _Shape:
    ordered = sorted(names)
    members = ",".join([encode_basestring(name).replace("%", "%%") + ":%s" for name in ordered])
    # itemgetter gives a tuple from two names on.
    values = (
        itemgetter(*ordered) if len(ordered) > 1 else lambda image: tuple([image[name] for name in ordered])
    )
    return _Shape(values, f"{{{members}}}")


_remembered_shape = lru_cache(maxsize=1024)(_shape)  # the items of a type have mostly the same names


@dataclass(frozen=True, slots=True)
class _RecordShape:
    """The shapes of a record's three maps, and the text of all, with ``%s`` for each value.

    ``alike``: the images have the same names; ``keys_count``: how many names the keys have.
    """

    keys: Callable[[Any], tuple[Any, ...]]
    new: Callable[[Any], tuple[Any, ...]]
    old: Callable[[Any], tuple[Any, ...]]
    json: str
    alike: bool
    keys_count: int


_NO_IMAGE = _Shape(lambda _: (), "null")


def _record_shape(
    keys: tuple[str, ...], new: tuple[str, ...] | None, old: tuple[str, ...] | None
) -> _RecordShape:
    of_keys, of_new, of_old = (_NO_IMAGE if names is None else _shape(names) for names in (keys, new, old))
    json = f'"keys":{of_keys.json},"new_image":{of_new.json},"old_image":{of_old.json}'
    alike = new is not None and old is not None and sorted(new) == sorted(old)
    return _RecordShape(of_keys.values, of_new.values, of_old.values, json, alike, len(keys))


_remembered_record = lru_cache(maxsize=1024)(_record_shape)


def image_json(image: Any) -> str:
    """The JSON text of an item, its attributes sorted by name so that one item always gives one text.

    Raises
    ------
    NotDynamoDbJsonError : naming the attribute
    """
    if not isinstance(image, dict):
        raise NotDynamoDbJsonError("an image must be a map of attributes")
    try:
        return _map(image)
    except NotDynamoDbJsonError:
        raise _first_problem(image) from None


def _first_problem(image: dict[str, Any]) -> NotDynamoDbJsonError:
    """Of an image that cannot be written, by name of attribute."""
    for name in sorted(image):
        try:
            value_json(image[name])
        except NotDynamoDbJsonError as error:
            return NotDynamoDbJsonError(error.problem, name)
    raise AssertionError("every attribute can be written")


def record_json(keys: dict[str, Any], new: dict[str, Any] | None, old: dict[str, Any] | None) -> str:
    """``"keys":{…},"new_image":{…},"old_image":null``: each as ``image_json``, in one go.

    What the images share, most of an item that changed, is written once.

    Raises
    ------
    NotDynamoDbJsonError : in one of them
    """
    shape_of = _remembered_record if len(new or ()) + len(old or ()) <= _MAX_NAMES else _record_shape
    shape = shape_of(tuple(keys), None if new is None else tuple(new), None if old is None else tuple(old))
    values, former = shape.new(new), shape.old(old)
    if not shape.alike:
        return shape.json % tuple(_texts(shape.keys(keys) + values + former))
    texts = _texts(shape.keys(keys) + values)
    old_texts = texts[shape.keys_count :]
    for place in compress(range(len(old_texts)), map(ne, values, former)):
        old_texts[place] = value_json(former[place])
    return shape.json % (*texts, *old_texts)
