"""Lines of landing tables as Athena's SerDes read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.query.landing_source import top_level_texts


def test_an_object_is_kept_as_it_is_written_so_that_no_digit_is_lost() -> None:
    line = '{"event_id": "e1", "keys": {"n": 1.50000000000000000000000000001},"Expired":true ,"x":null}'
    assert top_level_texts(line) == {
        "event_id": "e1",
        "keys": '{"n": 1.50000000000000000000000000001}',
        "expired": "true",
        "x": None,
    }


@pytest.mark.parametrize(
    "line", ["", "[]", '"a"', "{", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1} x', "{'a':1}", '{"a":1']
)
def test_what_is_no_object_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        top_level_texts(line)


def test_an_empty_object_has_no_fields() -> None:
    assert top_level_texts(" { } ") == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_every_json_object_is_read(fields: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    line = json.dumps(fields, ensure_ascii=ascii_only, indent=indent).replace("\n", " ")
    texts = top_level_texts(line)
    lowered = {name.lower(): value for name, value in fields.items()}
    assert texts.keys() == lowered.keys()
    for name, value in lowered.items():
        text = texts[name]
        if value is None or isinstance(value, str):
            assert text == value
        else:
            assert text is not None
            assert json.loads(text) == value
