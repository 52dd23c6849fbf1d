"""Sets of keys that rows are chosen by: written out in the query while they are few, joined when many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from glue_jobs.lake.tables import few_rows, literal, quoted

FEW = 2_000
"""Up to here keys stand in the query itself: no join to plan and run, and Iceberg skips the files whose
statistics exclude them. Some 100 KB of SQL, which Spark parses in milliseconds."""

AT_HAND = 50_000
"""Up to here the driver holds the keys, some MB: what finds them runs once, however often they are used."""

SLOTS = 2**18
"""Keys fall into this many slots by their hash, 10,000 keys into 4 % of them: 4 % of the other rows pass.
A statement is given 256 KB however many the keys are; a list of 10,000 hashes took longer to plan, by 0.6 s."""


def slots_taken(columns: Sequence[str]) -> str:
    """SQL aggregate: the array of the slots that the keys of rows fall into."""
    return f"collect_set({_slot(map(quoted, columns))})"


def in_slots(columns: Sequence[str]) -> str:
    """SQL predicate over a table, alias ``t``, with the parameter ``:taken`` (``taken_flags``): true for every
    key that took a slot, and for few others.

    For ``MERGE``: its join is an outer one, which shuffles all rows of the table that no predicate over the
    table alone leaves out, and its condition takes no subquery. The columns must have the types of those by
    which the slots were taken, because the hash depends on them.
    """
    return f"substring(:taken, 1 + {_slot(f't.{quoted(name)}' for name in columns)}, 1) = X'01'"


def taken_flags(taken: Iterable[int]) -> bytearray:
    """A byte for each slot, 1 where it is taken: a parameter, because Spark prints the text of a statement in
    errors, and takes longer to read it."""
    flags = bytearray(SLOTS)
    for each in taken:
        flags[each] = 1
    return flags


def _slot(columns: Iterable[str]) -> str:
    return f"cast(pmod(xxhash64({', '.join(columns)}), {SLOTS}) as int)"


@dataclass(frozen=True)
class KeySet:
    """Distinct keys, none with a null: in ``few`` if there are none or at most ``FEW`` single texts, else in ``frame``."""

    columns: tuple[str, ...]
    few: tuple[str, ...] | None = None
    frame: DataFrame | None = None

    @classmethod
    def of(cls, frame: DataFrame) -> KeySet:
        """The distinct keys in a frame of key columns; runs a job to see which they are."""
        present = " and ".join(f"{quoted(name)} is not null" for name in frame.columns)
        distinct = frame.where(present).distinct()
        found, count = _at_hand(distinct.coalesce(1))  # of several partitions it would read one after another
        if count > AT_HAND:
            # Kept, because it is read again by every join with it. A small set is not: for as long as a frame
            # that was not read to its end is kept, Spark plans it anew whenever a view that it reads is dropped.
            return cls(tuple(frame.columns), frame=distinct.persist())
        if not count:
            return cls(tuple(frame.columns), few=())
        if count <= FEW and [each.dataType.simpleString() for each in frame.schema.fields] == ["string"]:
            return cls.listed(frame.columns[0], (row[0] for row in found.collect()))
        return cls(tuple(frame.columns), frame=found)

    @classmethod
    def listed(cls, column: str, keys: Iterable[str]) -> KeySet:
        """Keys at hand, at most ``FEW``."""
        return cls((column,), tuple(sorted(set(keys))))

    def is_empty(self) -> bool:
        return self.frame is None and not self.few

    def choose(self, rows: DataFrame) -> DataFrame:
        """The rows whose key is in the set."""
        if self.frame is None:
            return rows.where(self.predicate())
        return rows.join(self.frame, list(self.columns), "left_semi").select(*map(quoted, rows.columns))

    def leave(self, rows: DataFrame) -> DataFrame:
        """The rows whose key is not in the set, those without a key among them; only where ``few`` holds it."""
        return rows.where(f"not coalesce({self.predicate()}, false)")

    def rows(self, spark: SparkSession) -> DataFrame:
        """The keys as a frame."""
        if self.frame is not None:
            return self.frame
        schema = StructType([StructField(name, StringType()) for name in self.columns])
        return few_rows(spark, [(key,) for key in self.few or ()], schema)

    def predicate(self) -> str:
        """The set as a SQL predicate over its one column; only where ``few`` holds it."""
        if self.few is None:
            raise ValueError("a set this large has no predicate: join its frame")
        if not self.few:
            return "false"
        return f"{quoted(self.columns[0])} in ({', '.join(map(literal, self.few))})"

    def close(self) -> None:
        """Free what was kept of a large set."""
        if self.frame is not None:
            self.frame.unpersist()


def _at_hand(frame: DataFrame) -> tuple[DataFrame, int]:
    """The first ``AT_HAND`` rows of a frame and one more, as a frame that no job need make again; and their number.

    They stay Java's: ``createDataFrame`` of rows in Python has a Python worker hand them on wherever they are read.
    """
    spark = frame.sparkSession
    rows = frame._jdf.takeAsList(AT_HAND + 1)
    held = spark._jsparkSession.createDataFrame(rows, frame._jdf.schema())  # type: ignore[attr-defined, unused-ignore]
    return DataFrame(held, spark), int(rows.size())
