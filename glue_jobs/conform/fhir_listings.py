"""Lists of what exists of a type, by which deletions between exports are found."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from pyspark.sql import Column
from pyspark.sql import functions as F

from glue_jobs.conform.export_manifests import Export
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import literal

CHANGE_ABSENT = "change_absent"
"""How a deletion was learned: a listing, made because of a deletion, lacked the resource."""
_ID = "listing-"


def is_listing(export_id: str) -> bool:
    """Listings are named so by who makes them; HealthLake's job ids are 32 hexadecimal digits."""
    return export_id.startswith(_ID)


def absence_source(export_absent: str, export_id: str) -> Column:
    """The source of a tombstone, by the column that has the export or listing that it came from."""
    return F.when(F.startswith(F.col(export_id), F.lit(_ID)), CHANGE_ABSENT).otherwise(export_absent)


def forget_superseded_listings(run: Run, exports: Iterable[Export]) -> None:
    """Of each type only the latest listing decides: without this, what is remembered would grow for ever."""
    table = f"{run.catalog}.watershed_ops.fhir_full_export"
    for export in exports:
        if export.listing:
            older = f"timestamp_micros({round(export.submitted_at.astimezone(UTC).timestamp() * 1_000_000)})"
            (name,) = export.types
            run.spark.sql(
                f"delete from {table} where startswith(export_id, {literal(_ID + name.lower() + '-')})"
                f" and submitted_at < {older}"
            )
