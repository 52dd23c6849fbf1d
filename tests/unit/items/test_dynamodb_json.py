"""Typed JSON to plain JSON: every type, every digit."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.shared import dynamodb_json
from lambdas.shared.dynamodb_json import (
    NotDynamoDbJsonError,
    image_json,
    number_text,
    record_json,
    value_json,
)
from tests.unit.items.records import plain

EXACT = [
    "0", "-0", "1.50", "100", "0.10", "1E+2", "1e-130", "9.9999999999999999999999999999999999999E+125",
    "-12345678901234567890123456789012345678", "0.00000000000000000000000000000000000001",
]  # fmt: skip


@pytest.mark.parametrize("digits", EXACT)
def test_numbers_keep_their_digits(digits: str) -> None:
    assert value_json({"N": digits}) == digits


@pytest.mark.parametrize(
    ("loose", "strict"), [("+5", "5"), ("007", "7"), (".5", "0.5"), ("-.5", "-0.5"), ("5.", "5"), ("00", "0")]
)
def test_numbers_that_json_does_not_know_are_respelt(loose: str, strict: str) -> None:
    assert number_text(loose) == strict


@pytest.mark.parametrize(
    "text", ["", "-", ".", "NaN", "Infinity", "1_0", "1 ", "٣", "0x1", "1e", "1e9999", 5, None]
)
def test_what_is_not_a_number_is_refused(text: Any) -> None:
    with pytest.raises(NotDynamoDbJsonError):
        number_text(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"S": ""}, '""'),
        ({"S": 'q"\\\n\u2028é'}, '"q\\"\\\\\\n\u2028é"'),
        ({"B": "AAEC/w=="}, '"AAEC/w=="'),
        ({"BOOL": False}, "false"),
        ({"NULL": True}, "null"),
        ({"NS": ["10", "9", "-1.5", "1E+1"]}, "[-1.5,9,10,1E+1]"),
        ({"SS": ["b", "a", "é", "B"]}, '["B","a","b","é"]'),
        ({"BS": ["QQ==", "AA=="]}, '["AA==","QQ=="]'),
        ({"L": []}, "[]"),
        ({"M": {}}, "{}"),
        (
            {"M": {"b": {"L": [{"N": "1"}, {"M": {"x": {"NULL": True}}}]}, "a": {"S": "x"}}},
            '{"a":"x","b":[1,{"x":null}]}',
        ),
    ],
)
def test_every_type(value: dict[str, Any], text: str) -> None:
    assert value_json(value) == text


@pytest.mark.parametrize(
    "value",
    [
        {}, {"S": "a", "N": "1"}, {"X": 1}, {"S": 1}, {"N": 1}, {"BOOL": "true"}, {"B": "not base64!"},
        {"B": "QQ"}, {"SS": "ab"}, {"SS": [1]}, {"NS": [1]}, {"NS": ["x"]}, {"L": {}}, {"M": []}, "S", None,
        ["S"],
    ],
)  # fmt: skip
def test_what_is_not_dynamodb_json_is_refused(value: Any) -> None:
    with pytest.raises(NotDynamoDbJsonError) as caught:
        image_json({"attribute": value})
    assert caught.value.attribute == "attribute"


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20).map(
        str
    ),
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,37})(\.[0-9]{1,20})?(E[+-][0-9]{1,2})?\Z"),
)
_bytes = st.binary(max_size=9).map(lambda raw: base64.b64encode(raw).decode())


def _tagged(tag: str, content: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return content.map(lambda value: {tag: value})


ATTRIBUTE_VALUES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        _tagged("S", _texts),
        _tagged("N", _numbers),
        _tagged("B", _bytes),
        _tagged("BOOL", st.booleans()),
        _tagged("NULL", st.just(True)),
        _tagged("SS", st.lists(_texts, unique=True, max_size=4)),
        _tagged("NS", st.lists(_numbers, unique_by=Decimal, max_size=4)),
        _tagged("BS", st.lists(_bytes, unique=True, max_size=4)),
    ),
    lambda inner: st.one_of(
        _tagged("L", st.lists(inner, max_size=4)), _tagged("M", st.dictionaries(_texts, inner, max_size=4))
    ),
    max_leaves=12,
)


@given(st.dictionaries(_texts, ATTRIBUTE_VALUES, max_size=5))
def test_the_text_means_what_the_item_means(image: dict[str, Any]) -> None:
    text = image_json(image)
    read = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    assert read == {name: plain(value) for name, value in image.items()}
    assert "\n" not in text


@given(st.dictionaries(_texts, ATTRIBUTE_VALUES, max_size=5))
def test_one_item_gives_one_text(image: dict[str, Any]) -> None:
    assert image_json(dict(reversed(image.items()))) == image_json(image)


@given(
    st.dictionaries(_texts, ATTRIBUTE_VALUES, max_size=5),
    st.dictionaries(_texts, ATTRIBUTE_VALUES, max_size=5),
)
def test_what_two_images_share_is_written_as_each_alone_would_be(
    first: dict[str, Any], others: dict[str, Any]
) -> None:
    second = {**dict(list(first.items())[1:]), **others}
    for keys, new, old in ((first, second, first), (second, first, None), (others, None, second)):
        assert record_json(keys, new, old) == _one_by_one(keys, new, old)


def _one_by_one(keys: dict[str, Any], new: dict[str, Any] | None, old: dict[str, Any] | None) -> str:
    new_text, old_text = ("null" if image is None else image_json(image) for image in (new, old))
    return f'"keys":{image_json(keys)},"new_image":{new_text},"old_image":{old_text}'


@given(st.dictionaries(_texts, ATTRIBUTE_VALUES, min_size=1, max_size=5), ATTRIBUTE_VALUES)
def test_a_change_of_one_attribute_changes_that_alone(old: dict[str, Any], value: dict[str, Any]) -> None:
    new = {**dict(reversed(old.items())), next(iter(old)): value}
    assert record_json({}, new, old) == _one_by_one({}, new, old)


def test_records_of_the_same_sizes_and_other_names_are_not_confused() -> None:
    first, second = ({name: {"S": name} for name in names} for names in ("ab", "ac"))
    for keys, new, old in ((first, first, first), (second, second, second), (first, second, first)) * 2:
        assert record_json(keys, new, old) == _one_by_one(keys, new, old)
        assert record_json(keys, None, old) == _one_by_one(keys, None, old)


@pytest.mark.parametrize("image", ["", "a", "ab", [], [1], [1, 2], 5, True, {"a": {"S": "x"}}.items()])
def test_an_image_that_is_no_map_is_refused(image: Any) -> None:
    for good in ({}, {"a": {"S": "x"}}, {"a": {"S": "x"}, "b": {"S": "x"}}):
        record_json({}, good, good)  # so that a shape of its size is known
        with pytest.raises(NotDynamoDbJsonError):
            record_json({}, image, None)
        with pytest.raises(NotDynamoDbJsonError):
            record_json({}, good, image)


@pytest.mark.parametrize("value", [[{}, {"S": "a", "N": "1"}], [{"S": "a", "N": "1"}, {}]])
def test_one_tag_too_many_does_not_make_up_for_one_missing(value: list[Any]) -> None:
    with pytest.raises(NotDynamoDbJsonError):
        value_json({"L": value})
    with pytest.raises(NotDynamoDbJsonError):
        record_json({}, dict(zip("ab", value, strict=True)), None)


def test_sizes_that_never_come_again_do_not_fill_the_memory() -> None:
    maps = [{f"{number:02d}": {"N": "1"} for number in range(size)} for size in range(100)]
    for new in maps[:50]:
        for old in maps:
            assert record_json({}, new, old) == _one_by_one({}, new, old)
    assert len(dynamodb_json._likely_shapes) <= dynamodb_json._MAX_REMEMBERED


def test_a_map_of_very_many_names_is_written_like_any() -> None:
    names = [f"%{number:04d}" for number in range(1000)]
    item = {name: {"N": "1.50"} for name in reversed(names)}
    text = "{" + ",".join(f'"{name}":1.50' for name in names) + "}"
    assert image_json({"m": {"M": item}}) == f'{{"m":{text}}}'
    assert record_json({}, item, None) == f'"keys":{{}},"new_image":{text},"old_image":null'


def test_a_poison_value_deep_down_is_found_without_trying_twice_at_each_level() -> None:
    value: dict[str, Any] = {"N": "secret"}
    for _ in range(60):
        value = {"L": [value, {"S": "fine"}]}
    with pytest.raises(NotDynamoDbJsonError, match=r"^attribute: not a number$"):
        image_json({"attribute": value})
