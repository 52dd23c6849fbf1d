"""FHIR resources as the views read them: pinned to one snapshot for the whole run, and by what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from glue_jobs.curation.state import Consumed
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.tables import current_snapshot, iceberg_table, literal, read_at, table_exists
from glue_jobs.sql_on_fhir import compile_views
from schemas.view import KEY_COLUMN

RESOURCES = "conformed.fhir_resource"
"""The name under which a table's state keeps how far it read the resources."""
_COLUMNS = "resource_type string, id string, is_deleted boolean, resource string, run_id string"


@dataclass(frozen=True)
class Resources:
    """``conformed.fhir_resource`` at one snapshot: every table of a run is made from the same state."""

    spark: SparkSession
    rows: DataFrame
    snapshot_id: int | None
    _keys: dict[tuple[str, str], KeySet] = field(default_factory=dict)

    @classmethod
    def pinned(cls, spark: SparkSession, catalog: str) -> Resources:
        """At the snapshot that is current now; empty where the table does not exist yet."""
        name = f"{catalog}.watershed_conformed.fhir_resource"
        if not table_exists(spark, name):
            return cls(spark, spark.createDataFrame([], _COLUMNS), None)
        snapshot_id = current_snapshot(iceberg_table(spark, name))
        return cls(spark, read_at(spark, name, snapshot_id), snapshot_id)

    def changed_since(self, watermarks: Mapping[str, str]) -> dict[str, tuple[int, str]]:
        """How many resources of each type have a run id above the type's watermark, and their greatest.

        One job for all types; types without changes are left out.
        """
        if self.snapshot_id is None or not watermarks:
            return {}
        after = " or ".join(
            f"(resource_type = {literal(kind)} and run_id > {literal(run_id)})"
            for kind, run_id in sorted(watermarks.items())
        )
        counts = self.rows.where(after).groupBy("resource_type")
        found = counts.agg(F.count(F.lit(1)).alias("changed"), F.max("run_id").alias("latest")).collect()
        return {row.resource_type: (int(row.changed), str(row.latest)) for row in found}

    def of_type(self, resource_type: str, after: str = "") -> DataFrame:
        """Resources and tombstones of a type whose run id is above ``after``."""
        chosen = self.rows.where(F.col("resource_type") == resource_type)
        return chosen.where(F.col("run_id") > after) if after else chosen

    def keys(self, resource_type: str, after: str) -> KeySet:
        """The view keys (column ``resource_key``) of what changed of a type, tombstones included."""
        if (resource_type, after) not in self._keys:
            self._keys[resource_type, after] = KeySet.of(self._view_keys(resource_type, after))
        return self._keys[resource_type, after]

    def _view_keys(self, resource_type: str, after: str) -> DataFrame:
        """A tombstone has no resource to take the key from; type and id are all that a key is made of."""
        kind, id_ = F.lit(resource_type).alias("resourceType"), F.col("id")
        stubs = self.of_type(resource_type, after).select(F.to_json(F.struct(kind, id_)).alias("resource"))
        return compile_views([_key_view(resource_type)]).run(stubs)["resource_key"].select(KEY_COLUMN)

    def close(self) -> None:
        """Free what was kept for the run."""
        for keys in self._keys.values():
            keys.close()

    def consumed(self, run_id: str) -> Consumed:
        return Consumed(self.snapshot_id, run_id)


def _key_view(resource_type: str) -> dict[str, Any]:
    column = {"name": KEY_COLUMN, "path": "getResourceKey()", "type": "string"}
    return {
        "resourceType": "ViewDefinition",
        "name": "resource_key",
        "status": "active",
        "resource": resource_type,
        "select": [{"column": [column]}],
    }


def least(run_ids: Iterable[str]) -> str:
    """The least of some watermarks; empty (everything is new) where there is none."""
    return min(run_ids, default="")
