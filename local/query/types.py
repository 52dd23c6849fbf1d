"""Names of types: the catalog's (Hive), Athena's (Trino), and the engine's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb.sqltypes import DuckDBPyType

_ATHENA: Mapping[str, str] = {
    "tinyint": "tinyint",
    "smallint": "smallint",
    "integer": "integer",
    "bigint": "bigint",
    # The engine sums in 128 bits; Athena sums bigints to bigint.
    "hugeint": "bigint",
    "utinyint": "smallint",
    "usmallint": "integer",
    "uinteger": "bigint",
    "ubigint": "bigint",
    "float": "real",
    "double": "double",
    "boolean": "boolean",
    "varchar": "varchar",
    "enum": "varchar",
    "blob": "varbinary",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamp_s": "timestamp",
    "timestamp_ms": "timestamp",
    "timestamp_ns": "timestamp",
    "timestamp with time zone": "timestamp with time zone",
    "time with time zone": "time with time zone",
    "interval": "interval",
    "uuid": "uuid",
    "json": "json",
}


def athena_type(engine_type: DuckDBPyType) -> str:
    """Athena's name of a type of the engine: ``VARCHAR[]`` → ``array(varchar)``."""
    kind = engine_type.id
    if kind == "decimal":
        return str(engine_type).lower()
    inner = [(name, athena_type(each)) for name, each in _inner(engine_type)]
    if kind in ("list", "array"):
        return f"array({inner[0][1]})"
    if kind == "map":
        return f"map({inner[0][1]}, {inner[1][1]})"
    if kind == "struct":
        return f"row({', '.join(f'{name} {each}' for name, each in inner)})"
    name = str(engine_type).lower()
    return _ATHENA.get(name) or _ATHENA.get(kind, name)


def _inner(engine_type: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """The types that a nested type is made of; other types have none."""
    if engine_type.id not in ("list", "array", "map", "struct"):
        return []
    # An array's size is listed beside its element.
    return [(name, each) for name, each in engine_type.children if not isinstance(each, int | list)]


def arrow_type(hive_type: str) -> pa.DataType:
    """The Arrow type of a landing table's declared column.

    Raises
    ------
    ValueError : a type that landing tables do not use
    """
    import pyarrow as pa

    declared = hive_type.lower().replace(" ", "")
    decimal = re.match(r"^decimal\((\d+),(\d+)\)$", declared)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    types: dict[str, pa.DataType] = {
        "string": pa.string(),
        "varchar": pa.string(),
        "boolean": pa.bool_(),
        "tinyint": pa.int8(),
        "smallint": pa.int16(),
        "int": pa.int32(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }
    if declared not in types:
        raise ValueError(f"columns of type {hive_type} cannot be read from JSON or text here")
    return types[declared]
