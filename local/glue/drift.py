"""Whether what lies in a table's folders is what the table declares; told, and never acted upon.

A crawler with ``UpdateBehavior`` LOG writes of it into its log and leaves the table as it is.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SAMPLED_BYTES = 1_000_000
"""Of an object: a landed line is an item or two, which DynamoDB holds to 400 kB."""

_KINDS: Mapping[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
}
_DECLARED: Mapping[str, str] = {
    "boolean": "boolean",
    "int": "number",
    "bigint": "number",
    "float": "number",
    "double": "number",
}
"""What JSON holds for a column of the type. A string column takes anything: the SerDe gives its JSON text."""


def first_line(bucket: str, key: str, s3: S3Client) -> bytes:
    """The object's first line, cut where it is very long; empty for an object that is not to be read."""
    with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
        start = body.read(_SAMPLED_BYTES)
    if key.endswith(".gz"):
        try:
            unzipped = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            start = unzipped.decompress(start, _SAMPLED_BYTES)
        except zlib.error:
            return b""
    return start.partition(b"\n")[0]


def drift(line: bytes, columns: Mapping[str, str]) -> dict[str, str]:
    """What differs in a line of JSON from ``columns`` (name to type): a sentence by field, without its value."""
    try:
        fields: Any = json.loads(line)
    except ValueError:
        return {"line": "is no JSON"}
    if not isinstance(fields, dict):
        return {"line": f"is {_kind(fields)}, not an object"}
    found = {}
    for name, value in fields.items():
        declared = columns.get(name)
        if declared is None:
            found[name] = f"is not declared; holds {_kind(value)}"
        elif value is not None and _DECLARED.get(declared, _kind(value)) != _kind(value):
            found[name] = f"is declared {declared}; holds {_kind(value)}"
    return found


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "null")
