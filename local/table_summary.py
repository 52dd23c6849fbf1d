"""The Iceberg tables at a glance: rows, when and with which snapshot each was last published, and whether newer
rows wait because their audit failed. From metadata alone, as the control plane's `GET /tables` tells it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lambdas.list_tables.tables import read_metadata, summary
from local.glue.aws import glue_client, s3_client
from local.query.catalog import Catalog, CatalogTable, short_name
from local.query.errors import UnreadableTable

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
        summarized(table, s3)
        for zone in catalog.databases()
        if zone in _ZONES
        for table in catalog.tables(zone)
        if table.metadata_location
    ]


def summarized(table: CatalogTable, s3: S3Client) -> TableSummary:
    """One table, from the metadata file that the catalog points to.

    Raises
    ------
    UnreadableTable : the metadata is not there
    """
    bucket, _, key = table.metadata_location.partition("://")[2].partition("/")
    try:
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise UnreadableTable(
            f"{table.full_name}: its metadata {table.metadata_location} is gone. Run the jobs again"
        ) from None
    metadata = read_metadata(key, content)
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
