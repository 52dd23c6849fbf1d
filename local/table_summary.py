"""The Iceberg tables at a glance: rows, when and with which snapshot each was last published, and whether newer
rows wait because their audit failed. From metadata alone, as the control plane's `GET /tables` tells it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lambdas.list_tables.tables import read_metadata, summary
from local.glue.aws import glue_client, s3_client
from local.query.catalog import Catalog, CatalogTable, short_name

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ZONES = ("watershed_conformed", "watershed_curated", "watershed_curated_deid")


@dataclass(frozen=True)
class TableSummary:
    """``waiting`` says since when newer rows wait on an audit branch: their audit failed, or is running."""

    table: str
    rows: int
    published: str
    snapshot: int | None
    waiting: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def table_summaries(endpoint_url: str) -> list[TableSummary]:
    """Every conformed and curated table of the catalog, and of the de-identified twin; none where no job has run."""
    catalog, s3 = Catalog(glue_client(endpoint_url)), s3_client(endpoint_url)
    return [
        _summary(table, s3)
        for zone in catalog.databases()
        if zone in _ZONES
        for table in catalog.tables(zone)
        if table.metadata_location
    ]


def _summary(table: CatalogTable, s3: S3Client) -> TableSummary:
    bucket, _, key = table.metadata_location.partition("://")[2].partition("/")
    metadata = read_metadata(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    told = summary(f"{short_name(table.database)}.{table.name}", metadata)
    return TableSummary(
        told["table"],
        told["rows"],
        _moment(told["published_at"]) if "published_at" in told else "never",
        int(told["snapshot"]) if "snapshot" in told else None,
        _moment(told["failed_at"]) if "failed_at" in told else None,
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
