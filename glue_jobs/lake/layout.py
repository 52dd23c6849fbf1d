"""A table's declared layout, as properties and sort order of its Iceberg table: a commit where it differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.lake.errors import TableError
from glue_jobs.lake.tables import java_texts
from schemas.layout import Layout

_MIB = 1024 * 1024
_METRICS = "write.metadata.metrics.column."


def apply_layout(spark: SparkSession, table: Any, layout: Layout) -> bool:
    """Bring an Iceberg table to its layout; whether it had another. Files that are there stay as they are
    until compaction rewrites them, and so does the partitioning.

    Raises
    ------
    TableError : the layout names a column that the table lacks
    """
    wanted = _properties(layout)
    held = java_texts(table.properties())
    stale = [name for name in held if name.startswith(_METRICS) and name not in wanted]
    differing = {name: value for name, value in wanted.items() if held.get(name) != value}
    resorted = _sorted_by(table) != layout.sort_by
    if not (stale or differing or resorted):
        return False
    _check(table, layout)
    transaction = table.newTransaction()
    properties = transaction.updateProperties()
    for name, value in differing.items():
        properties.set(name, value)
    for name in stale:
        properties.remove(name)
    properties.commit()
    if resorted:
        jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
        iceberg = jvm.org.apache.iceberg
        order = transaction.replaceSortOrder()
        for column in layout.sort_by:
            order.asc(iceberg.expressions.Expressions.ref(column), iceberg.NullOrder.NULLS_FIRST)
        order.commit()
    transaction.commitTransaction()
    table.refresh()
    return True


def retention(layout: Layout) -> timedelta:
    """How long snapshots stay."""
    return timedelta(days=layout.keep_days)


def _properties(layout: Layout) -> dict[str, str]:
    found = {
        "write.target-file-size-bytes": str(layout.target_file_mb * _MIB),
        "write.parquet.row-group-size-bytes": str(layout.row_group_mb * _MIB),
        # Each task writes down what it finds deleted. To bring that together by file is a shuffle, and few tables
        # have more files than tasks read at once.
        "write.delete.distribution-mode": "none",
        # Read by Athena's VACUUM as well, so that it expires no more than maintenance does.
        "history.expire.max-snapshot-age-ms": str(round(retention(layout).total_seconds() * 1000)),
        **{f"{_METRICS}{column}": kept for column, kept in layout.statistics.items()},
    }
    if layout.sort_by and not layout.partition_by:
        # Each task sorts what it writes. A sort of all rows would shuffle the few of a small change as well;
        # compaction does it, when much is written anyway.
        found["write.distribution-mode"] = "none"
    return found


def _sorted_by(table: Any) -> tuple[str, ...]:
    schema = table.schema()
    return tuple(str(schema.findColumnName(each.sourceId())) for each in table.sortOrder().fields())


def _check(table: Any, layout: Layout) -> None:
    schema = table.schema()
    for column in (*layout.sort_by, *layout.statistics):
        if schema.findField(column) is None:
            raise TableError(
                f"The layout of {table.name()} names {column}, which is not a column of it",
                "Correct schemas/layouts.yaml",
            )
