"""Keeping Iceberg tables quick and small: compaction, expiry of old snapshots, removal of stray files.

Rows and history within the retention stay as they are; what jobs rely on (the state that a snapshot
carries, and snapshots that models compare with) is never expired.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.lake.procedure import call_procedure
from glue_jobs.lake.tables import iceberg_table, literal, snapshot_properties

ORPHANS_AFTER = timedelta(days=3)
"""Files younger than this may belong to a commit under way: Iceberg's own default, and safe beside jobs."""
_COMPACTION = {
    # A data file that deletes point into is rewritten however large it is.
    "delete-file-threshold": "1",
    "min-input-files": "4",
    "remove-dangling-deletes": "true",
    # One commit per table: each is a chance to collide with a job.
    "partial-progress.enabled": "false",
}


@dataclass(frozen=True)
class Maintained:
    """What was done to a table: counts of files and snapshots."""

    rewritten_files: int
    rewritten_delete_files: int
    expired_snapshots: int
    removed_orphans: int


def maintain_table(
    spark: SparkSession,
    full_name: str,
    keep: timedelta,
    needed: Iterable[int] = (),
    orphans_after: timedelta = ORPHANS_AFTER,
) -> Maintained:
    """Compact, expire and clean one table.

    Parameters
    ----------
    keep : snapshots younger than this stay, for time travel
    needed : ids of snapshots that stay whatever their age
    """
    sorts = iceberg_table(spark, full_name).sortOrder().isSorted()
    strategy = literal("sort" if sorts else "binpack")
    data = call_procedure(spark, "rewrite_data_files", full_name, strategy=strategy, options=_COMPACTION)
    deletes = call_procedure(spark, "rewrite_position_delete_files", full_name)
    carry_properties(iceberg_table(spark, full_name))
    table = iceberg_table(spark, full_name)
    before = _snapshots(table)
    cutoff = _cutoff(table, datetime.now(UTC) - keep, needed)
    call_procedure(spark, "expire_snapshots", full_name, older_than=cutoff, retain_last=1)
    after = _snapshots(iceberg_table(spark, full_name))
    orphans = call_procedure(
        spark, "remove_orphan_files", full_name, older_than=datetime.now(UTC) - orphans_after
    )
    return Maintained(
        int(data[0]["rewritten_data_files_count"]),
        int(deletes[0]["rewritten_delete_files_count"]),
        before - after,
        len(orphans),
    )


def carry_properties(table: Any) -> None:
    """Give the snapshot that compaction made the properties of the one it replaced, in an empty commit,
    so that the older one, and with it the files that were rewritten, may expire."""
    snapshot = table.currentSnapshot()
    held = snapshot_properties(table)
    if snapshot is None or not held or held.items() <= dict(snapshot.summary()).items():
        return
    append = table.newAppend()
    for key, value in held.items():
        append.set(key, value)
    append.commit()


def _cutoff(table: Any, wanted: datetime, needed: Iterable[int]) -> datetime:
    """``wanted``, or the time of the oldest needed snapshot if that is earlier."""
    found = [table.snapshot(each) for each in needed]
    times = [datetime.fromtimestamp(each.timestampMillis() / 1000, UTC) for each in found if each is not None]
    return min([wanted, *times])


def _snapshots(table: Any) -> int:
    return sum(1 for _ in table.snapshots())
