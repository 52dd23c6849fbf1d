"""The Iceberg tables at a glance: rows, and when and with which snapshot each was last published."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from local.glue.aws import glue_client
from local.query import run_query
from local.query.catalog import Catalog, CatalogTable, short_name
from local.query.iceberg_source import open_table

_ZONES = ("watershed_conformed", "watershed_curated", "watershed_curated_deid")


@dataclass(frozen=True)
class TableSummary:
    table: str
    rows: int
    published: str
    snapshot: int | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def table_summaries(endpoint_url: str) -> list[TableSummary]:
    """Every conformed and curated table of the catalog, and of the de-identified twin; none where no job has run."""
    catalog = Catalog(glue_client(endpoint_url))
    tables = [
        table
        for zone in catalog.databases()
        if zone in _ZONES
        for table in catalog.tables(zone)
        if table.metadata_location
    ]
    if not tables:
        return []
    counts = " union all ".join(
        f"select '{table.full_name}' as name, count(*) as n from {table.full_name}" for table in tables
    )
    rows = {str(name): int(count) for name, count in run_query(counts, endpoint_url).rows}
    return [_summary(table, rows[table.full_name], endpoint_url) for table in tables]


def _summary(table: CatalogTable, rows: int, endpoint_url: str) -> TableSummary:
    snapshot = open_table(table, endpoint_url).current_snapshot()
    published = "never"
    if snapshot is not None:
        moment = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
        published = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    name = f"{short_name(table.database)}.{table.name}"
    return TableSummary(name, rows, published, snapshot.snapshot_id if snapshot else None)
