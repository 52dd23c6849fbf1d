"""DynamoDB's typed JSON (``{"N": "1.50"}``) to plain JSON text, exactly.

Text in, text out: a number's digits are copied as they came and never become a Python number, because
DynamoDB keeps 38 digits, a float 15, and even ``decimal`` contexts round. This is the hot path of the
sinks, so it writes strings instead of building objects to serialise, and checks on the way only what would
not fail by itself. docs/benchmarks.md says what was tried and what bounds it.
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

_MAX_NAMES, _MAX_REMEMBERED = 200, 1024
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


def number_text(value: Any) -> str:
    """The digits of a DynamoDB number as a JSON number: verbatim where they are one already.

    ``+5``, ``007`` and ``.5``, which DynamoDB does not write but its imitations do, are respelt with the
    same digits.

    Raises
    ------
    NotDynamoDbJsonError : not a number
    """
    try:
        # Most are whole, and to see that takes a third of what the pattern does.
        if (value.isdigit() and value.isascii() and value[0] != "0") or _JSON_NUMBER(value):
            text: str = value
            return text
    except (AttributeError, TypeError):
        raise NotDynamoDbJsonError("a number must be a text of digits") from None
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
        raise NotDynamoDbJsonError("sets must be arrays")
    return value


def _numeric_order(text: str) -> tuple[Decimal, str]:
    return Decimal(text), text  # Decimal() of a text is exact: only arithmetic rounds


def _string_set(value: Any) -> str:
    # Sorted as texts, not as their escaped forms: by code point, which is the order of their UTF-8 too.
    if not isinstance(value, list):
        raise NotDynamoDbJsonError("SS must be an array")
    return f"[{','.join([encode_basestring(each) for each in sorted(value)])}]"


def _number_set(value: Any) -> str:
    return f"[{','.join(sorted(map(number_text, _elements(value)), key=_numeric_order))}]"


def _binary_set(value: Any) -> str:
    return f"[{','.join(sorted(map(_binary, _elements(value))))}]"


def _list(value: Any) -> str:
    if not isinstance(value, list):
        raise NotDynamoDbJsonError("L must be an array")
    return f"[{','.join([_WRITERS[tag](each[tag]) for each in value for (tag,) in (each,)])}]"


def _map(value: Any) -> str:
    shape = _remembered_shape(tuple(value)) if len(value) <= _MAX_NAMES else _shape(tuple(value))
    filled = shape.pieces.copy()
    # A TypeError for what is no map.
    filled[1::2] = [_WRITERS[tag](each[tag]) for each in shape.values(value) for (tag,) in (each,)]
    return "".join(filled)


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
    """The JSON text of each value, or any of ``_MALFORMED``: the loop that everything goes through.

    Lists and maps have it written out, because a call for each would cost a record a hundredth of its time.
    """
    return [_WRITERS[tag](value[tag]) for value in values for (tag,) in (value,)]


_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of writing a value that is none: to check each one first would take as long again."""


def _problem(error: Exception) -> NotDynamoDbJsonError:
    if isinstance(error, NotDynamoDbJsonError):
        return error
    return NotDynamoDbJsonError(f"a value must be one type tag ({', '.join(_WRITERS)}) and its content")


def value_json(attribute_value: Any) -> str:
    """The JSON text of one attribute value, ``{"L": [{"N": "1"}]}`` → ``[1]``; sets become sorted arrays.

    Raises
    ------
    NotDynamoDbJsonError : not an attribute value
    """
    try:
        return _texts([attribute_value])[0]
    except _MALFORMED as error:
        raise _problem(error) from None


_Names = tuple[str, ...]
_Values = tuple[Any, ...]
_GAP = "\0"
"""Stands for a value in the text of a map. In escaped names are no control characters."""


def _sorted_values(names: _Names) -> Callable[[Any], _Values]:
    """What takes the values of a map with these names, sorted by name. It raises a KeyError for one without."""
    ordered = sorted(names)
    if len(ordered) > 1:
        return itemgetter(*ordered)
    if ordered:  # for one name itemgetter gives no tuple
        return lambda image: (image[ordered[0]],)
    return lambda image: tuple(dict.values(image))  # a TypeError for what is no map


def _text_with_gaps(names: _Names) -> str:
    return f"{{{','.join([f'{encode_basestring(name)}:{_GAP}' for name in sorted(names)])}}}"


def _pieces(text_with_gaps: str) -> list[str]:
    """The text cut up, with an empty piece for each gap: to fill and join a copy of them takes half as long as
    ``%``, which reads every character of the text."""
    return [piece for literal in text_with_gaps.split(_GAP) for piece in (literal, "")][:-1]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What maps of the same names share: how to take their values, sorted by name, and the pieces of their text."""

    values: Callable[[Any], _Values]
    pieces: list[str]


def _shape(names: _Names) -> _Shape:
    return _Shape(_sorted_values(names), _pieces(_text_with_gaps(names)))


_remembered_shape = lru_cache(_MAX_REMEMBERED)(_shape)  # the items of a type have mostly the same names


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
    except _MALFORMED:
        raise _first_problem(image) from None


def _first_problem(image: dict[str, Any]) -> NotDynamoDbJsonError:
    """Of an image that cannot be written, by name of attribute."""
    for name in sorted(image):
        try:
            value_json(image[name])
        except NotDynamoDbJsonError as error:
            return NotDynamoDbJsonError(error.problem, name)
    raise AssertionError("every attribute can be written")


@dataclass(frozen=True, slots=True)
class _RecordShape:
    """What records share whose three maps have the same names.

    Attributes
    ----------
    keys, new, old : how to take the values of each, sorted by name
    pieces : of the text of all three
    alike : the images have the same names
    places : of the values of an image
    """

    keys: Callable[[Any], _Values]
    new: Callable[[Any], _Values]
    old: Callable[[Any], _Values]
    pieces: list[str]
    alike: bool
    places: range


def _record_shape(keys: _Names, new: _Names | None, old: _Names | None) -> _RecordShape:
    texts = ["null" if names is None else _text_with_gaps(names) for names in (keys, new, old)]
    of_keys, of_new, of_old = (
        _no_values if names is None else _sorted_values(names) for names in (keys, new, old)
    )
    return _RecordShape(
        keys=of_keys,
        new=of_new,
        old=of_old,
        pieces=_pieces('"keys":{},"new_image":{},"old_image":{}'.format(*texts)),
        alike=new is not None and old is not None and sorted(new) == sorted(old),
        places=range(len(new or ())),
    )


def _no_values(_image: None) -> _Values:
    return ()


_remembered_record = lru_cache(_MAX_REMEMBERED)(_record_shape)
_likely_shapes: dict[tuple[int, int, int], _RecordShape] = {}
"""The last shape of each three sizes: to try it is quicker than to collect the names."""


def record_json(keys: dict[str, Any], new: dict[str, Any] | None, old: dict[str, Any] | None) -> str:
    """``"keys":{…},"new_image":{…},"old_image":null``: each as ``image_json``, in one go.

    What the images share, most of an item that changed, is written once.

    Raises
    ------
    NotDynamoDbJsonError : in one of them
    """
    try:
        sizes = (len(keys), -1 if new is None else len(new), -1 if old is None else len(old))
        try:
            shape = _likely_shapes[sizes]
            own, values, former = shape.keys(keys), shape.new(new), shape.old(old)
        except KeyError:  # other names
            shape = _shape_of(sizes, keys, new, old)
            own, values, former = shape.keys(keys), shape.new(new), shape.old(old)
        if shape.alike:
            differs = [*map(ne, values, former)]
            texts = _texts([*own, *values, *compress(former, differs)])
            start, end = len(own), len(own) + len(values)
            old_texts = texts[start:end]
            for written, place in enumerate(compress(shape.places, differs), end):
                old_texts[place] = texts[written]
            texts[end:] = old_texts
        else:
            texts = _texts(own + values + former)
    except _MALFORMED as error:
        raise _problem(error) from None
    filled = shape.pieces.copy()
    filled[1::2] = texts
    return "".join(filled)


def _shape_of(
    sizes: tuple[int, int, int], keys: Iterable[str], new: Iterable[str] | None, old: Iterable[str] | None
) -> _RecordShape:
    """The shape of these names, and from now on the likely one of these sizes."""
    names = (tuple(keys), None if new is None else tuple(new), None if old is None else tuple(old))
    if sum(sizes) > _MAX_NAMES:
        return _record_shape(*names)
    if len(_likely_shapes) >= _MAX_REMEMBERED:
        _likely_shapes.clear()
    shape = _likely_shapes[sizes] = _remembered_record(*names)
    return shape
