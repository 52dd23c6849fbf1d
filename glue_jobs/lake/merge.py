"""Merging changes into a table by key: the newest wins, whatever the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from glue_jobs.lake.delete_files import fold_when_due
from glue_jobs.lake.keys import in_slots
from glue_jobs.lake.tables import current_snapshot, iceberg_table, quoted

_SOURCE = "_watershed_changes"


@dataclass(frozen=True)
class MergePolicy:
    """How rows of one key compete.

    Attributes
    ----------
    key : columns that identify a row
    newest : SQL expressions over a row, compared in order: the greater wins, null is least. Make them
        decide every tie (add a hash of the content), so that the order of arrival cannot
    delete_when : SQL predicate over a winning source row that removes its key from the table
    within : SQL predicate over the target, alias ``t``, that bounds where the keys can be (partitions)
    """

    key: tuple[str, ...]
    newest: tuple[str, ...]
    delete_when: str | None = None
    within: str | None = None

    @property
    def removes(self) -> str:
        """``delete_when`` as a predicate that is never null."""
        return f"coalesce({self.delete_when}, false)" if self.delete_when else "false"

    @property
    def inserts(self) -> str:
        """Its opposite: the row stays, or comes."""
        return f"not {self.removes}"


@dataclass(frozen=True)
class MergeResult:
    """``written`` rows inserted or updated, ``deleted`` rows removed, the snapshot made (None: no commit)."""

    written: int
    deleted: int
    snapshot_id: int | None

    @property
    def rows(self) -> int:
        return self.written + self.deleted


def newest_per_key(rows: DataFrame, policy: MergePolicy) -> DataFrame:
    """One row per key, the newest: Iceberg's MERGE refuses two source rows for one target row."""
    order = [F.expr(each).desc_nulls_last() for each in policy.newest]
    ranked = rows.withColumn("_rank", F.row_number().over(Window.partitionBy(*policy.key).orderBy(*order)))
    return ranked.where("_rank = 1").drop("_rank")


def merge_newest(
    spark: SparkSession,
    rows: DataFrame,
    table: str,
    policy: MergePolicy,
    *,
    deduplicated: bool = False,
) -> MergeResult:
    """Bring ``rows`` into ``table`` (``catalog.database.table``): insert, update and delete in one commit.

    Rows that are not newer than the table's are left out first, and where none remains there is no commit.
    ``rows`` has the table's columns, by name. Pass ``deduplicated`` where each key occurs once already.
    """
    changes = rows if deduplicated else newest_per_key(rows, policy)
    changes = changes.select(*(F.col(quoted(name)) for name in spark.table(table).columns))
    empty = current_snapshot(iceberg_table(spark, table)) is None
    changes = changes.where(policy.inserts) if empty else _newer_only(spark, changes, table, policy)
    changes = changes.persist()
    try:
        written, deleted = _counts(changes, policy)
        if not written + deleted:
            return MergeResult(0, 0, None)
        write_changes(spark, changes, table, policy, replaces=not empty)
    finally:
        changes.unpersist()
    return MergeResult(written, deleted, current_snapshot(iceberg_table(spark, table)))


def write_changes(
    spark: SparkSession,
    changes: DataFrame,
    table: str,
    policy: MergePolicy,
    *,
    replaces: bool,
    taken: bytearray | None = None,
) -> None:
    """Write rows of which each key occurs once and beats the table's, in one commit.

    ``replaces`` says that the table may hold some of the keys; else they are appended, unread. ``taken`` flags the
    slots of all their keys (``keys.taken_flags``), where they are few. ``changes`` is evaluated once.
    """
    if replaces:
        _merge(spark, changes, table, policy, taken)
    else:
        changes.writeTo(table).append()


def _newer_only(spark: SparkSession, changes: DataFrame, table: str, policy: MergePolicy) -> DataFrame:
    """The changes that beat the table's row of their key, or insert one that it lacks."""
    target = spark.table(table).alias("t")
    if policy.within:
        target = target.where(policy.within)
    held = target.select(
        *(F.col(quoted(name)).alias(f"_key_{index}") for index, name in enumerate(policy.key)),
        _rank(policy).alias("_held"),
    )
    matches = [F.col(quoted(name)).eqNullSafe(F.col(f"_key_{i}")) for i, name in enumerate(policy.key)]
    joined = changes.join(held, _all(matches), "left")
    keep = F.when(F.col("_held").isNull(), F.expr(policy.inserts)).otherwise(_rank(policy) > F.col("_held"))
    return joined.where(keep).select(*changes.columns)


def _rank(policy: MergePolicy) -> Column:
    """The ``newest`` expressions as one struct: Spark compares structs field by field, null least."""
    return F.struct(*(F.expr(each).alias(f"o{index}") for index, each in enumerate(policy.newest)))


def _all(conditions: Sequence[Column]) -> Column:
    combined = conditions[0]
    for condition in conditions[1:]:
        combined = combined & condition
    return combined


def _counts(changes: DataFrame, policy: MergePolicy) -> tuple[int, int]:
    row = changes.selectExpr(f"count_if({policy.inserts})", f"count_if({policy.removes})").first()
    assert row is not None  # an aggregate without grouping has one row
    return int(row[0]), int(row[1])


def _merge(
    spark: SparkSession, changes: DataFrame, table: str, policy: MergePolicy, taken: bytearray | None
) -> None:
    on = [f"t.{quoted(name)} <=> s.{quoted(name)}" for name in policy.key]
    if policy.within:
        on.append(f"({policy.within})")
    if taken is not None:
        on.append(in_slots(policy.key))
    merge_into(spark, changes, table, on, policy.removes, taken)


def merge_into(
    spark: SparkSession,
    rows: DataFrame,
    table: str,
    on: Sequence[str],
    removes: str,
    taken: bytearray | None = None,
) -> None:
    """One ``MERGE`` in one commit: a row ``s`` replaces the table's row ``t`` that it matches ``on``, or is inserted
    where there is none; where ``removes``, a condition on ``rows``, holds, it deletes.

    ``rows`` has the table's columns, and may have more; ``taken`` is the parameter of ``keys.in_slots``. The delete
    files that it leaves are folded in once several such commits have left some.
    """
    names = [quoted(name) for name in spark.table(table).columns]
    source = f"{_SOURCE}_{table.rpartition('.')[2]}"
    rows.withColumn("_removes", F.expr(removes)).createOrReplaceTempView(source)
    try:
        spark.sql(
            f"merge into {table} t using {source} s on {' and '.join(on)}"
            " when matched and s._removes then delete"
            f" when matched then update set {', '.join(f't.{name} = s.{name}' for name in names)}"
            " when not matched and not s._removes then"
            f" insert ({', '.join(names)}) values ({', '.join(f's.{name}' for name in names)})",
            args=None if taken is None else {"taken": taken},
        )
    finally:
        spark.catalog.dropTempView(source)
    fold_when_due(spark, table)
