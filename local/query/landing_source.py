"""Rows of a landing table as Athena reads them: the files of its registered partitions, line by line."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.query.catalog import CatalogTable, Column, Partition
from local.query.errors import UnreadableTable
from local.query.pushdown import Comparison
from local.query.types import arrow_type

if TYPE_CHECKING:
    import pyarrow as pa
    from mypy_boto3_s3 import S3Client

_THREADS = 8
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class _Object:
    key: str
    partition: Partition


def read_landing(
    table: CatalogTable,
    partitions: Sequence[Partition],
    s3: S3Client,
    columns: Sequence[str] | None,
    comparisons: Sequence[Comparison],
) -> pa.Table:
    """The rows in the partitions that may pass ``comparisons``, with ``columns`` (all where None).

    Raises
    ------
    UnreadableTable : a line is not what the table says; names object and line, never what it holds
    """
    import pyarrow as pa

    chosen = [each for each in partitions if _may_match(table, each, comparisons)]
    wanted = [each for each in table.all_columns if columns is None or each.name in columns]
    of_files = [each for each in wanted if each in table.columns]
    objects = [found for partition in chosen for found in _objects(partition, s3)]
    collected: dict[str, list[str | None]] = {each.name: [] for each in wanted}
    read = _reader(table, of_files)
    keys = [key.name for key in table.partition_keys]
    with ThreadPoolExecutor(_THREADS) as pool:
        for found, lines in zip(
            objects, pool.map(lambda each: _lines(table, each, s3), objects), strict=True
        ):
            count = 0
            for number, line in enumerate(lines, start=1):
                values = read(line, f"{found.key}, line {number}")
                if values is None:
                    continue
                count += 1
                for column, value in zip(of_files, values, strict=True):
                    collected[column.name].append(value)
            for key, value in zip(keys, found.partition.values, strict=True):
                if key in collected:
                    collected[key].extend([None if value == HIVE_NULL else value] * count)
    return pa.table({each.name: _typed(table, each, collected[each.name]) for each in wanted})


def _may_match(table: CatalogTable, partition: Partition, comparisons: Sequence[Comparison]) -> bool:
    values = dict(zip((key.name for key in table.partition_keys), partition.values, strict=True))
    types = {key.name: key.type for key in table.partition_keys}
    for comparison in comparisons:
        # Only texts: how another type would be read from a folder's name is the engine's to say.
        if types.get(comparison.column) != "string":
            continue
        value = values[comparison.column]
        if not comparison.holds(None if value == HIVE_NULL else value):
            return False
    return True


def _objects(partition: Partition, s3: S3Client) -> Iterator[_Object]:
    location = urlsplit(partition.location.rstrip("/") + "/", allow_fragments=False)
    prefix = location.path.lstrip("/")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=location.netloc, Prefix=prefix):
        for each in page.get("Contents", []):
            below = each["Key"][len(prefix) :]
            # As Hive: what begins with _ or . is not data.
            if each["Size"] and not any(part.startswith(("_", ".")) for part in below.split("/")):
                yield _Object(each["Key"], partition)


def _lines(table: CatalogTable, found: _Object, s3: S3Client) -> list[str]:
    bucket = urlsplit(found.partition.location).netloc
    body = s3.get_object(Bucket=bucket, Key=found.key)["Body"].read()
    try:
        content = gzip.decompress(body) if found.key.endswith(".gz") else body
        text = content.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UnreadableTable(
            f"{table.full_name}: {found.key} cannot be read: {type(error).__name__}"
        ) from None
    return text.removesuffix("\n").split("\n")


_Reader = Callable[[str, str], Sequence[str | None] | None]


def _reader(table: CatalogTable, columns: Sequence[Column]) -> _Reader:
    """How one line becomes the texts of ``columns``; None for a line that is no row."""
    if table.kind == "text":
        if len(table.columns) != 1:
            raise UnreadableTable(f"{table.full_name}: a text table of several columns cannot be read here")
        return lambda line, _where: [line] * len(columns)
    names = [each.name.lower() for each in columns]
    lenient = table.serde_parameters.get("ignore.malformed.json", "").lower() == "true"

    def read(line: str, where: str) -> Sequence[str | None] | None:
        if not line.strip():
            return None
        try:
            fields = top_level_texts(line)
        except ValueError:
            if lenient:
                return [None] * len(names)
            raise UnreadableTable(f"{table.full_name}: not a JSON object: {where}") from None
        return [fields.get(name) for name in names]

    return read


def top_level_texts(line: str) -> Mapping[str, str | None]:
    """The fields of a JSON object by name in lower case, each as text: a string's content, else the JSON as
    it is written there, so that no digit of a number is lost.

    Raises
    ------
    ValueError : the line is no JSON object
    """
    position = _skip(line, 0)
    _expect(line, position, "{")
    position = _skip(line, position + 1)
    fields: dict[str, str | None] = {}
    if line[position : position + 1] == "}":
        return fields
    while True:
        _expect(line, position, '"')
        name, position = scanstring(line, position + 1)
        position = _skip(line, position)
        _expect(line, position, ":")
        start = _skip(line, position + 1)
        value, position = _DECODER.raw_decode(line, start)
        fields[name.lower()] = _text(value, line[start:position])
        position = _skip(line, position)
        if line[position : position + 1] == "}":
            _expect_end(line, position + 1)
            return fields
        _expect(line, position, ",")
        position = _skip(line, position + 1)


def _text(value: Any, written: str) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else written


def _skip(line: str, position: int) -> int:
    match = _SPACE.match(line, position)
    return match.end() if match else position


def _expect(line: str, position: int, character: str) -> None:
    if line[position : position + 1] != character:
        raise ValueError(f"{character} expected at {position}")


def _expect_end(line: str, position: int) -> None:
    if _skip(line, position) != len(line):
        raise ValueError(f"end expected at {position}")


def _typed(table: CatalogTable, column: Column, texts: Sequence[str | None]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.cast(pa.array(texts, pa.string()), arrow_type(column.type))
    except (pa.ArrowInvalid, ValueError):
        raise UnreadableTable(
            f"{table.full_name}: a value of column {column.name} is not of its type, {column.type}"
        ) from None
