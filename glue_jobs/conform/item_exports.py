"""Where what exports show belongs among the changes of the stream: pure DataFrame to DataFrame.

An export row says how an item was at the moment ``T`` that the export shows; it has no sequence number. The
stream's times are cut to the second and approximate, so ``MARGIN`` before ``T`` nothing is concluded from
them. For each key, with the stream's changes in the order of their numbers:

- the row stands before the first change made at or after ``T - MARGIN``;
- if such a change was made up to ``T``, the row is *superseded*: the stream is known from there on, and has
  the last word;
- if the row shows what the version before it says already, it is *confirmed* and tells nothing new;
- else it is a version: what happened between was lost, and the row says what came of it.

Rows that are not versions stay in the history as instants, because changes that arrive later may make
versions of them, and the other way round. What a complete export does not hold, though it would if the item
were there, is *absent*: such a row is made up here as a removal, and taken back when it ceases to follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window, WindowSpec

from glue_jobs.conform.item_changes import REFUSED, REMOVED
from glue_jobs.conform.item_coverage import Coverage
from glue_jobs.lake.tables import quoted

MARGIN = timedelta(seconds=60)
"""How far the stream's times are not trusted; and for how long the stream has to have been read again when
an export that closes a gap is made."""

ABSENT = "absent/"
"""Begins the event ids of rows that stand for an item that an export does not hold."""

_MARGIN = f"interval {int(MARGIN.total_seconds())} seconds"
_EXPORTED = "_sequence_number is null"


def absent_rows(rows: DataFrame, keys: Sequence[str], exports: Sequence[Coverage]) -> DataFrame:
    """A removal for each key and complete export that has no row of that key, shaped as ``rows``."""
    if not exports:
        return rows.limit(0)
    shown = rows.sparkSession.createDataFrame(
        [(each.event_id, ABSENT + each.event_id, _utc(each.shown_at)) for each in exports],
        "_shown_id string, _event_id string, _changed_at timestamp",
    )
    named = [quoted(name) for name in keys]
    have = rows.where(_EXPORTED).select(*named, F.regexp_replace("_event_id", f"^{ABSENT}", "").alias("_has"))
    missing = (
        rows.select(*named)
        .distinct()
        .crossJoin(F.broadcast(shown))
        .alias("m")
        .join(
            have.alias("h"),
            [F.col(f"m.{name}") == F.col(f"h.{name}") for name in named]
            + [F.col("m._shown_id") == F.col("h._has")],
            "left_anti",
        )
    )
    given = {
        "_event_id": F.col("_event_id"),
        "_changed_at": F.col("_changed_at"),
        "_event_name": F.lit(REMOVED),
        "_expired": F.lit(False),
        "_incoming": F.lit(True),
        "_absent": F.lit(True),
        **{name: F.col(quoted(name)) for name in keys},
    }
    return missing.select(
        *(
            given.get(each.name, F.lit(None)).cast(each.dataType).alias(each.name)
            for each in rows.schema.fields
        )
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def placed(
    rows: DataFrame, keys: Sequence[str], content: Sequence[str], exports: Sequence[Coverage]
) -> DataFrame:
    """Put export rows in their places, and say which are versions.

    Parameters
    ----------
    rows : one row per key and change; ``_place`` orders those of the stream
    content : the columns that say what the item is

    Returns
    -------
    DataFrame
        ``rows`` and ``_rank``, which orders all rows of a key; ``_effective``, whether the row is a version;
        ``_retracted``, whether the row was made up and does not follow any more
    """
    stream = F.col("_sequence_number").isNotNull()
    by_number = _of_key(keys).orderBy("_place")
    timed = rows.withColumns(
        {
            "_clock": F.when(stream, F.max(F.when(stream, F.col("_changed_at"))).over(by_number)),
            "_shown_at": F.when(~stream, F.to_timestamp(F.substring_index("_event_id", "@", -1))),
        }
    )
    timed = timed.withColumn(
        "_rank",
        F.struct(
            F.coalesce("_clock", F.expr(f"_shown_at - {_MARGIN}")).alias("at"),
            stream.cast("int").alias("kind"),
            F.regexp_replace("_place", f"^{ABSENT}", "").alias("place"),
            F.col("_place").alias("whole"),
        ),
    )
    before = _of_key(keys).orderBy("_rank").rowsBetween(Window.unboundedPreceding, -1)
    after = _of_key(keys).orderBy(F.col("_rank").desc()).rowsBetween(Window.unboundedPreceding, -1)
    same_export = Window.partitionBy(*map(quoted, keys), F.regexp_replace("_event_id", f"^{ABSENT}", ""))
    judged = timed.withColumns(
        {
            "_next_clock": F.last("_clock", ignorenulls=True).over(after),
            "_last_clock": F.max("_clock").over(before),
            "_shown": F.max(F.expr(f"{_EXPORTED} and not _absent")).over(same_export),
        }
    )
    superseded = F.coalesce(F.col("_next_clock") <= F.col("_shown_at"), F.lit(False))
    holds = ~F.col("_absent") | (~F.col("_shown") & _would_be_held(exports))
    telling = stream | (holds & ~superseded & (F.col("_event_name") != REFUSED))
    state = F.when(F.col("_event_name") != REMOVED, F.struct(*map(quoted, content)))
    judged = judged.withColumns({"_telling": telling, "_state": F.struct(state.alias("is"))})
    former = F.last(F.when(F.col("_telling"), F.col("_state")), ignorenulls=True).over(before)
    judged = judged.withColumn("_former", former)
    # Before the first version there was no item, which is as after a removal.
    news = ~F.col("_state.is").eqNullSafe(F.col("_former.is"))
    effective = stream | (F.col("_telling") & news)
    return judged.withColumns(
        {"_effective": effective, "_retracted": F.col("_absent") & ~effective}
    ).drop("_clock", "_shown_at", "_next_clock", "_last_clock", "_shown", "_telling", "_state", "_former")  # fmt: skip


def _would_be_held(exports: Sequence[Coverage]) -> Column:
    """Whether an export would hold the row's item, were it there: a full one holds every item, an incremental
    one those that were changed within its period."""
    held = F.lit(False)
    for each in exports:
        mine = F.col("_event_id") == ABSENT + each.event_id
        if each.since is None:
            held = held | mine
        else:
            begun = F.lit(_utc(each.since) + MARGIN)
            held = held | (mine & F.coalesce(F.col("_last_clock") >= begun, F.lit(False)))
    return held


def _of_key(keys: Sequence[str]) -> WindowSpec:
    return Window.partitionBy(*map(quoted, keys))
