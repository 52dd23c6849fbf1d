"""What differs from a landing table's columns is told, and changes nothing."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import pytest

from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex
from local.glue.drift import drift, first_line
from schemas import load_item_types, load_landing_tables
from tests.unit.items.records import LANDED_ONCE, patient, record, registry_key
from tests.unit.local_glue.conftest import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COLUMNS = {"event_id": "string", "expired": "boolean", "size": "bigint", "new_image": "string"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"event_id": "e", "expired": False, "size": 1, "new_image": {"name": "Ada"}}, {}),
        ({"event_id": 7, "expired": None, "size": 1.5, "new_image": None}, {}),
        ({}, {}),
        ({"expired": "Ada"}, {"expired": "is declared boolean; holds string"}),
        ({"expired": 0}, {"expired": "is declared boolean; holds number"}),
        ({"size": True}, {"size": "is declared bigint; holds boolean"}),
        ({"nickname": "Ada"}, {"nickname": "is not declared; holds string"}),
        ({"tags": ["Ada"]}, {"tags": "is not declared; holds array"}),
        ({"gone": None}, {"gone": "is not declared; holds null"}),
    ],
)
def test_fields_are_held_to_the_columns_and_values_are_not_told(
    fields: dict[str, object], told: dict[str, str]
) -> None:
    found = drift(json.dumps(fields).encode(), COLUMNS)
    assert found == told
    assert "Ada" not in str(found)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"not JSON", "is no JSON"),
        (b'{"cut": "o', "is no JSON"),
        (b"[1]", "is array, not an object"),
        (b"\xff", "is no JSON"),
    ],
)
def test_a_line_that_is_no_object_is_told(line: bytes, told: str) -> None:
    assert drift(line, COLUMNS) == {"line": told}


@pytest.mark.parametrize(
    ("key", "body", "line"),
    [
        ("a.ndjson", b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}'),
        ("a.ndjson", b"only", b"only"),
        ("a.ndjson.gz", gzip.compress(b'{"a": 1}\n{"a": 2}\n', mtime=0), b'{"a": 1}'),
        (
            "cut.ndjson.gz",
            gzip.compress(b'{"a": 1}\n' + random.Random(1).randbytes(1000), mtime=0)[:500],
            b'{"a": 1}',
        ),
        ("a.ndjson.gz", b"no gzip", b""),
        ("empty", b"", b""),
    ],
)
def test_the_first_line_is_read_whatever_holds_it(s3: S3Client, key: str, body: bytes, line: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    assert first_line(BUCKET, key, s3) == line


def test_what_the_sink_lands_is_what_the_landing_table_declares() -> None:
    columns = {each.name: each.type for each in load_landing_tables()["item_change"].columns}
    records = [
        record("1", registry_key(), patient()),
        record("2", registry_key(), None, patient()),
        record("3", registry_key(), {"itemType": {"S": "Unheard-of"}}),
    ]
    landed = plan_batch(records, ItemTypeIndex(load_item_types().values()), LANDED_ONCE)
    lines = [line for each in landed.objects for line in each.lines]
    assert len(lines) == 3
    for line in lines:
        assert drift(line, columns) == {}
        assert set(json.loads(line)) == set(columns)
