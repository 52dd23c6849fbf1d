"""Sets of keys that rows are chosen by: written out in the query while they are few, joined when many."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame

from glue_jobs.lake.tables import literal, quoted

FEW = 2_000
"""Up to here keys stand in the query itself: no join to plan and run, and Iceberg skips the files whose
statistics exclude them. Some 100 KB of SQL, which Spark parses in milliseconds."""


@dataclass(frozen=True)
class KeySet:
    """Distinct keys, none with a null. ``few`` holds them if they are single texts and at most ``FEW``."""

    frame: DataFrame
    few: tuple[str, ...] | None = None

    @classmethod
    def of(cls, frame: DataFrame) -> KeySet:
        """The distinct keys in a frame of key columns; runs a job to see how many there are."""
        present = " and ".join(f"{quoted(name)} is not null" for name in frame.columns)
        # Kept, because a set too large to write out is read again by every join with it.
        distinct = frame.where(present).distinct().persist()
        if [each.dataType.simpleString() for each in frame.schema.fields] != ["string"]:
            return cls(distinct)
        found = distinct.take(FEW + 1)
        if len(found) > FEW:
            return cls(distinct)
        distinct.unpersist()
        return cls(distinct, tuple(sorted(row[0] for row in found)))

    @property
    def columns(self) -> list[str]:
        return self.frame.columns

    def is_empty(self) -> bool:
        return self.frame.isEmpty() if self.few is None else not self.few

    def choose(self, rows: DataFrame) -> DataFrame:
        """The rows whose key is in the set."""
        if self.few is None:
            return rows.join(self.frame, self.columns, "left_semi").select(*map(quoted, rows.columns))
        return rows.where(self.predicate())

    def predicate(self) -> str:
        """The set as a SQL predicate over its one column; only where ``few`` holds it."""
        if self.few is None:
            raise ValueError("a set this large has no predicate: join its frame")
        if not self.few:
            return "false"
        return f"{quoted(self.columns[0])} in ({', '.join(map(literal, self.few))})"

    def close(self) -> None:
        """Free what was kept of a large set."""
        self.frame.unpersist()
