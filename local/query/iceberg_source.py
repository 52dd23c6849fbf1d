"""Rows of an Iceberg table, from the metadata that the catalog points to; delete files are honoured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.glue.athena_types import glue_type
from local.glue.aws import ACCESS_KEY, REGION
from local.query.catalog import CatalogTable
from local.query.errors import UnknownSnapshot, UnreadableTable
from local.query.pushdown import Comparison

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema
    from pyiceberg.table import StaticTable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
METADATA_TABLES = ("snapshots", "history", "refs", "files", "manifests", "partitions")
"""``"t$snapshots"`` and so on (https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-table-metadata.html)."""


def open_table(table: CatalogTable, endpoint_url: str) -> StaticTable:
    """The table as the catalog's metadata has it.

    Raises
    ------
    UnreadableTable : the metadata is not there
    """
    from pyiceberg.table import StaticTable

    properties = {
        "s3.endpoint": endpoint_url,
        "s3.access-key-id": ACCESS_KEY,
        "s3.secret-access-key": ACCESS_KEY,
        "s3.region": REGION,
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
    }
    try:
        return StaticTable.from_metadata(table.metadata_location, properties)
    except FileNotFoundError:
        raise UnreadableTable(
            f"{table.full_name}: its metadata {table.metadata_location} is gone. Run the jobs again"
        ) from None


def snapshot_of(table: StaticTable, name: str, version: int | str | datetime) -> int:
    """The snapshot that a version means: its id, the name of a branch or tag, or the one current at a time.

    Raises
    ------
    UnknownSnapshot : there is none
    """
    if isinstance(version, datetime):
        found = table.snapshot_as_of_timestamp((version - _EPOCH) // timedelta(milliseconds=1))
        if found is None:
            raise UnknownSnapshot(f"{name} has no version as of {version}; {_first_of(table)}")
    elif isinstance(version, int):
        found = table.snapshot_by_id(version)
    else:
        found = table.snapshot_by_name(version)
    if found is None:
        database, _, short = name.rpartition(".")
        raise UnknownSnapshot(
            f'{name} has no version {version}; see: SELECT * FROM {database}."{short}$snapshots"'
        )
    return found.snapshot_id


def _first_of(table: StaticTable) -> str:
    """Since when there is anything to see: branches are not, until they are published."""
    first = min((each.timestamp_ms for each in table.history()), default=None)
    if first is None:
        return "nothing was written to it yet"
    since = datetime.fromtimestamp(first / 1000, UTC).isoformat(" ", "milliseconds")
    return f"its first, of those kept, is of {since}"


def columns_at(table: StaticTable, snapshot_id: int) -> dict[str, str]:
    """Types by column, as the catalog names them, of the table as it was in a snapshot."""
    snapshot = table.snapshot_by_id(snapshot_id)
    schema = table.schema()
    if snapshot is not None and snapshot.schema_id is not None:
        schema = table.schemas()[snapshot.schema_id]
    return {each["name"]: glue_type(each["type"]) for each in schema.model_dump(mode="json")["fields"]}


def read_iceberg(
    table: StaticTable,
    columns: Sequence[str] | None,
    comparisons: Sequence[Comparison],
    snapshot_id: int | None,
) -> pa.Table:
    """The rows that pass ``comparisons``, with ``columns`` (all where None)."""
    schema = table.schema()
    scan = table.scan(
        row_filter=_row_filter(schema, comparisons),
        selected_fields=("*",) if columns is None else tuple(columns),
        snapshot_id=snapshot_id,
    )
    return scan.to_arrow()


def read_metadata_table(table: StaticTable, kind: str) -> pa.Table:
    readers: Mapping[str, Callable[[], pa.Table]] = {
        "snapshots": table.inspect.snapshots,
        "history": table.inspect.history,
        "refs": table.inspect.refs,
        "files": table.inspect.files,
        "manifests": table.inspect.manifests,
        "partitions": table.inspect.partitions,
    }
    return readers[kind]()


def _row_filter(schema: Schema, comparisons: Sequence[Comparison]) -> BooleanExpression:
    from pyiceberg.expressions import AlwaysTrue, And

    whole: BooleanExpression = AlwaysTrue()
    for comparison in comparisons:
        whole = And(whole, _expression(schema, comparison))
    return whole


def _expression(schema: Schema, comparison: Comparison) -> BooleanExpression:
    import pyiceberg.expressions
    from pyiceberg.types import TimestamptzType

    # Its constructors take a name and a plain value, which their annotations do not say.
    ice: Any = pyiceberg.expressions
    kind = schema.find_type(comparison.column)

    def literal(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat() + ("+00:00" if isinstance(kind, TimestamptzType) else "")
        return value if isinstance(value, (bool, int, str)) else value.isoformat()

    if comparison.operator == "in":
        member: BooleanExpression = ice.In(comparison.column, {literal(each) for each in comparison.values})
        return member
    build: Mapping[str, Callable[[str, Any], BooleanExpression]] = {
        "=": ice.EqualTo,
        "<": ice.LessThan,
        "<=": ice.LessThanOrEqual,
        ">": ice.GreaterThan,
        ">=": ice.GreaterThanOrEqual,
    }
    return build[comparison.operator](comparison.column, literal(comparison.values[0]))
