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

from glue_jobs.conform.item_changes import REFUSED, REMOVED
from glue_jobs.conform.item_coverage import Exports
from glue_jobs.conform.item_exports import ABSENT, absent_rows, placed
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
NO_EXPORTS = Exports()
_VALIDITY = ("_valid_from", "_valid_to", "_is_current")


def sequence_order(column: str = "_sequence_number") -> str:
    """SQL that orders sequence numbers as numbers."""
    return f"lpad({column}, {SEQUENCE_DIGITS}, '0')"


def stitch(
    changes: DataFrame,
    history: DataFrame,
    keys: Sequence[str],
    run_id: str,
    *,
    replace: bool = False,
    exports: Exports = NO_EXPORTS,
) -> DataFrame:
    """Every version of the keys that ``changes`` touches, and which of them are news.

    Parameters
    ----------
    changes : typed changes, with duplicates or not
    history : the versions known, with the columns that this returns but ``_news``, ``_last``, ``_retracted``
    keys : key columns
    run_id : given to the rows that are new or whose validity changed
    replace : where a change is known already, take it from ``changes`` rather than from ``history``
    exports : those of the table that landed; where one is news, it concerns every key

    Returns
    -------
    DataFrame
        The columns of ``history``; ``_news``: the row differs from that of ``history``; ``_last``: it is
        the last version of its key; ``_retracted``: it is to be taken out of the history.
    """
    columns = [quoted(name) for name in history.columns]
    given = {*changes.columns, "_run_id"}
    # What an earlier declaration named, and this one does not.
    absent = {name: F.lit(None) for name in history.columns if name not in given}
    incoming = changes.withColumns({"_run_id": F.lit(run_id), **absent}).select(
        *columns, F.lit(True).alias("_incoming")
    )
    if not exports.news:
        touched = changes.select(*map(quoted, keys)).distinct()
        history = history.join(touched, [*keys], "left_semi")
    rows = history.select(*columns, F.lit(False).alias("_incoming")).unionByName(incoming)
    if exports.known:
        rows = _with_exports(rows, keys, replace, exports)
    else:
        rows = _one_per_change(rows, keys, replace).withColumns(
            {"_rank": F.col("_place"), "_effective": F.lit(True), "_retracted": F.lit(False)}
        )
    versions = _with_validity(rows, keys, all_effective=not exports.known)
    kept = ~F.col("_retracted")
    news = (kept & (F.col("_incoming") | ~_unchanged())) | (~kept & ~F.col("_incoming"))
    return versions.withColumns(
        {"_news": news, "_run_id": F.when(news, F.lit(run_id)).otherwise(F.col("_run_id"))}
    ).select(*columns, "_news", "_last", "_retracted")


def _with_exports(rows: DataFrame, keys: Sequence[str], replace: bool, exports: Exports) -> DataFrame:
    rows = rows.withColumn("_absent", F.startswith("_event_id", F.lit(ABSENT)))
    rows = rows.unionByName(absent_rows(rows, keys, exports.complete))
    own = {each.name for each in (*CHANGE_COLUMNS, *VERSION_COLUMNS)}
    marks = ("_incoming", "_absent")
    declared = [name for name in rows.columns if name not in own and name not in marks]
    content = [name for name in declared if name not in keys]
    return placed(_one_per_change(rows, keys, replace), keys, [*content, "_extra"], exports.complete)


def _one_per_change(rows: DataFrame, keys: Sequence[str], replace: bool) -> DataFrame:
    """One row per key and change: the one in history, unless incoming ones replace it."""
    preferred = F.col("_incoming").desc() if replace else F.col("_incoming").asc()
    read = F.col("_event_name") == REFUSED  # a line that could be read goes before one that could not
    # Not partitioned by the number as well: so the rows are shuffled and sorted once for all windows here.
    ordered = _in_order(keys, "_place", read.asc(), preferred, F.col("_event_id").desc())
    first = ~F.lag("_place").over(ordered).eqNullSafe(F.col("_place"))
    # Rows of exports have no number; the name of their export tells them apart.
    place = F.coalesce(F.expr(sequence_order()), F.col("_event_id"))
    return rows.withColumn("_place", place).withColumn("_first", first).where("_first").drop("_first")


def _with_validity(versions: DataFrame, keys: Sequence[str], *, all_effective: bool) -> DataFrame:
    """The times of validity of versions; rows that are none are instants."""
    ordered = _in_order(keys, "_rank")
    effective = F.col("_effective")
    removed = F.col("_event_name") == REMOVED
    timed = versions.withColumns(
        {
            **{f"_held{each}": F.col(each) for each in _VALIDITY},
            # Clocks may step back between changes; validity must not.
            "_from": F.when(effective, F.max(F.when(effective, F.col("_changed_at"))).over(ordered)),
        }
    )
    if all_effective:
        next_from = F.lead("_from").over(ordered)
    else:
        backwards = _in_order(keys, F.col("_rank").desc()).rowsBetween(Window.unboundedPreceding, -1)
        next_from = F.last("_from", ignorenulls=True).over(backwards)
    timed = timed.withColumn("_next_from", next_from)
    begins = F.coalesce("_from", "_changed_at")
    last = effective & F.col("_next_from").isNull()
    return timed.withColumns(
        {
            "_last": last,
            "_valid_from": begins,
            "_valid_to": F.when(removed | ~effective, begins).otherwise(F.col("_next_from")),
            "_is_current": last & ~removed,
        }
    )


def _in_order(keys: Sequence[str], *order: str | Column) -> WindowSpec:
    return Window.partitionBy(*map(quoted, keys)).orderBy(*order)


def _unchanged() -> Column:
    same = [F.col(each).eqNullSafe(F.col(f"_held{each}")) for each in _VALIDITY]
    return reduce(lambda a, b: a & b, same)
