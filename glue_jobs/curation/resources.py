"""FHIR resources as the views read them: pinned to one snapshot for the whole run, and by what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from glue_jobs.curation.state import Consumed
from glue_jobs.lake.keys import FEW, KeySet
from glue_jobs.lake.tables import current_snapshot, iceberg_table, literal, read_at, table_exists
from schemas.view import KEY_COLUMN

RESOURCES = "conformed.fhir_resource"
"""The name under which a table's state keeps how far it read the resources."""
_COLUMNS = "resource_type string, id string, is_deleted boolean, resource string, run_id string"


@dataclass(frozen=True)
class News:
    """What changed of a resource type: how many resources, tombstones included, and their greatest run id."""

    count: int = 0
    latest: str = ""


@dataclass(frozen=True)
class Resources:
    """``conformed.fhir_resource`` at one snapshot: every table of a run is made from the same state."""

    spark: SparkSession
    rows: DataFrame
    snapshot_id: int | None
    _keys: dict[tuple[str, str], KeySet] = field(default_factory=dict)
    _reading: Lock = field(default_factory=Lock)

    @classmethod
    def pinned(cls, spark: SparkSession, catalog: str) -> Resources:
        """At the snapshot that is current now; empty where the table does not exist yet."""
        name = f"{catalog}.watershed_conformed.fhir_resource"
        if not table_exists(spark, name):
            return cls(spark, spark.createDataFrame([], _COLUMNS), None)
        snapshot_id = current_snapshot(iceberg_table(spark, name))
        return cls(spark, read_at(spark, name, snapshot_id), snapshot_id)

    def changed_since(self, watermarks: Mapping[str, str]) -> dict[str, News]:
        """What changed of each type since its watermark, a run id (empty: everything has).

        One job for all types, and one more for the keys of those of which little changed; types without
        changes are left out.
        """
        if self.snapshot_id is None or not watermarks:
            return {}
        counts = self.rows.where(_after(watermarks)).groupBy("resource_type")
        found = {
            row.resource_type: News(int(row.changed), str(row.latest))
            for row in counts.agg(
                F.count(F.lit(1)).alias("changed"), F.max("run_id").alias("latest")
            ).collect()
        }
        few = {
            kind: watermarks[kind] for kind, news in found.items() if watermarks[kind] and news.count <= FEW
        }
        if few:
            ids: dict[str, list[str]] = {kind: [] for kind in few}
            for kind, id_ in self.rows.where(_after(few)).select("resource_type", "id").collect():
                ids[kind].append(id_)
            for kind, after in few.items():
                self._keys[kind, after] = KeySet.listed(KEY_COLUMN, ids[kind])
        return found

    def of_type(self, resource_type: str, after: str = "") -> DataFrame:
        """Resources and tombstones of a type whose run id is above ``after``."""
        return self.rows.where(_after({resource_type: after}))

    def living(self, resource_type: str, after: str = "") -> DataFrame:
        """The JSON of those that are no tombstones: column ``resource``."""
        return self.rows.where(f"({_after({resource_type: after})}) and not is_deleted").select("resource")

    def keys(self, resource_type: str, after: str) -> KeySet:
        """The view keys (column ``resource_key``) of what changed of a type, tombstones included.

        A resource's key is its id, as ``getResourceKey()`` has it; a tombstone has nothing else.
        """
        with self._reading:
            if (resource_type, after) not in self._keys:
                ids = self.of_type(resource_type, after).select(F.col("id").alias(KEY_COLUMN))
                self._keys[resource_type, after] = KeySet.of(ids)
            return self._keys[resource_type, after]

    def close(self) -> None:
        """Free what was kept for the run."""
        for keys in self._keys.values():
            keys.close()

    def consumed(self, run_id: str) -> Consumed:
        return Consumed(self.snapshot_id, run_id)


def _after(watermarks: Mapping[str, str]) -> str:
    """SQL for the resources of each type whose run id is above the type's watermark."""
    return " or ".join(
        f"(resource_type = {literal(kind)}" + (f" and run_id > {literal(after)})" if after else ")")
        for kind, after in sorted(watermarks.items())
    )


def least(run_ids: Iterable[str]) -> str:
    """The least of some watermarks; empty (everything is new) where there is none."""
    return min(run_ids, default="")
