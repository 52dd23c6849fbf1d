"""Changes of items to versions with their times of validity: pure DataFrame to DataFrame.

Within a key, changes are ordered by sequence number and by nothing else: stream times are rounded to the
second, and arrival says nothing. All versions of every key that a run touches are put in order anew, so
that any order of arrival, any duplication and any split into runs end in the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window, WindowSpec

from glue_jobs.conform.item_changes import REMOVED
from glue_jobs.lake.tables import Column as TableColumn
from glue_jobs.lake.tables import quoted

SEQUENCE_DIGITS = 40
"""The longest sequence number of a stream; padded to this, the order of texts is that of the numbers."""

CHANGE_COLUMNS = (
    TableColumn("_extra", "string", "Attributes that the item type does not declare, one JSON object"),
    TableColumn("_sequence_number", "string", "Orders the changes of one item; compare as a number"),
    TableColumn("_changed_at", "timestamp", "When the change was made, to the second (UTC)"),
    TableColumn("_event_id", "string", "Stream event of the change"),
    TableColumn("_run_id", "string", "Run that last wrote the row"),
)
VERSION_COLUMNS = (
    TableColumn("_valid_from", "timestamp", "From when the item was so (UTC)"),
    TableColumn("_valid_to", "timestamp", "Until when; null while it is. A removal is an instant"),
    TableColumn("_is_current", "boolean", "Whether the item is so now; false for a removal"),
    TableColumn("_event_name", "string", "INSERT, MODIFY or REMOVE"),
    TableColumn("_expired", "boolean", "Whether time to live removed the item"),
)
_VALIDITY = ("_valid_from", "_valid_to", "_is_current")


def sequence_order(column: str = "_sequence_number") -> str:
    """SQL that orders sequence numbers as numbers."""
    return f"lpad({column}, {SEQUENCE_DIGITS}, '0')"


def stitch(
    changes: DataFrame, history: DataFrame, keys: Sequence[str], run_id: str, *, replace: bool = False
) -> DataFrame:
    """Every version of the keys that ``changes`` touches, and which of them are news.

    Parameters
    ----------
    changes : typed changes, with duplicates or not
    history : the versions known, with the columns that this returns but ``_news`` and ``_last``
    keys : key columns
    run_id : given to the rows that are new or whose validity changed
    replace : where a change is known already, take it from ``changes`` rather than from ``history``

    Returns
    -------
    DataFrame
        The columns of ``history``; ``_news``: the row differs from that of ``history``; ``_last``: it is
        the last change of its key.
    """
    columns = [quoted(name) for name in history.columns]
    nothing = {each: F.lit(None) for each in _VALIDITY}
    incoming = changes.withColumns({"_run_id": F.lit(run_id), **nothing}).select(
        *columns, F.lit(True).alias("_incoming")
    )
    touched = changes.select(*map(quoted, keys)).distinct()
    known = history.join(touched, [*keys], "left_semi").select(*columns, F.lit(False).alias("_incoming"))
    versions = _with_validity(_one_per_change(known.unionByName(incoming), keys, replace), keys)
    news = F.col("_incoming") | ~_unchanged()
    return versions.withColumns(
        {"_news": news, "_run_id": F.when(news, F.lit(run_id)).otherwise(F.col("_run_id"))}
    ).select(*columns, "_news", "_last")


def _one_per_change(rows: DataFrame, keys: Sequence[str], replace: bool) -> DataFrame:
    """One row per key and sequence number: the one in history, unless incoming ones replace it."""
    preferred = F.col("_incoming").desc() if replace else F.col("_incoming").asc()
    # Not partitioned by the number as well: so the rows are shuffled and sorted once for all windows here.
    ordered = _in_order(keys, preferred, F.col("_event_id").desc())
    first = ~F.lag("_place").over(ordered).eqNullSafe(F.col("_place"))
    placed = rows.withColumn("_place", F.expr(sequence_order()))
    return placed.withColumn("_first", first).where("_first").drop("_first")


def _with_validity(versions: DataFrame, keys: Sequence[str]) -> DataFrame:
    ordered = _in_order(keys)
    removed = F.col("_event_name") == REMOVED
    timed = versions.withColumns(
        {
            **{f"_held{each}": F.col(each) for each in _VALIDITY},
            # Clocks may step back between changes; validity must not.
            "_valid_from": F.max("_changed_at").over(ordered),
            "_last": F.lead("_place").over(ordered).isNull(),
        }
    )
    next_from = F.lead("_valid_from").over(ordered)
    return timed.withColumns(
        {
            "_valid_to": F.when(removed, F.col("_valid_from")).otherwise(next_from),
            "_is_current": F.col("_last") & ~removed,
        }
    )


def _in_order(keys: Sequence[str], *more: Column) -> WindowSpec:
    return Window.partitionBy(*map(quoted, keys)).orderBy("_place", *more)


def _unchanged() -> Column:
    same = [F.col(each).eqNullSafe(F.col(f"_held{each}")) for each in _VALIDITY]
    return reduce(lambda a, b: a & b, same)
