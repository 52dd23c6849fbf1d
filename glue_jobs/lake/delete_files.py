"""Delete files, which merge-on-read leaves beside the data files that they point into, kept few.

Whoever reads a table opens them all, so a table that changes every five minutes would be read slower all day, until
the nightly compaction folds them in. So whoever adds to them folds them now and then.
https://iceberg.apache.org/docs/1.10.0/spark-procedures/#rewrite_position_delete_files
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from glue_jobs.lake.log import log
from glue_jobs.lake.maintenance import carry_properties
from glue_jobs.lake.procedure import call_procedure
from glue_jobs.lake.tables import ancestry, iceberg_table, literal

FOLDED_EVERY = 8
"""Commits with delete files from one folding to the next: each of them costs every later reader as much again."""
LARGE = 32 * 2**20
"""Bytes from which a data file stays as it is, and the delete files that point into it are brought together
instead: what folding writes depends on how much changed, not on how large the table is."""
_FEWEST_FILES = {"min-input-files": "4"}


def fold_when_due(spark: SparkSession, full_name: str) -> bool:
    """Fold the delete files of a table where ``FOLDED_EVERY`` more commits have left some; whether they were.

    For after a commit that may have added some: no row changes, and nobody reads or loses anything by it. So it fails
    nobody either: where it cannot be done, above all because maintenance did it meanwhile, this is logged, and
    more commits bring the next attempt.
    """
    table = iceberg_table(spark, full_name)
    waiting = commits_waiting(table)
    if not waiting or waiting % FOLDED_EVERY:
        return False
    try:
        _fold(spark, full_name, table)
    except (Py4JJavaError, PySparkException) as error:
        log("delete files not folded", table=full_name, commits=waiting, error=type(error).__name__)
        return False
    return True


def commits_waiting(table: Any) -> int:
    """How many commits have added delete files to an Iceberg table since files of it were last rewritten; none
    where it has no delete files any more."""
    if not _delete_files(table.currentSnapshot()):
        return 0
    since = takewhile(lambda each: each.operation() != "replace", ancestry(table, table.currentSnapshot()))
    return sum(each.summary().get("added-delete-files") is not None for each in since)


def _delete_files(snapshot: Any) -> int:
    return 0 if snapshot is None else int(snapshot.summary().get("total-delete-files") or 0)


def _fold(spark: SparkSession, full_name: str, table: Any) -> None:
    call_procedure(
        spark,
        "rewrite_data_files",
        full_name,
        strategy=literal("binpack"),
        options={
            **_FEWEST_FILES,
            "min-file-size-bytes": str(_large(table)),
            "remove-dangling-deletes": "true",
            # Else what is written would pass for as old as what it was read from, and the last commit's delete
            # files would stay. It is for equality deletes that come meanwhile, which no job of ours writes.
            "use-starting-sequence-number": "false",
        },
    )
    table.refresh()
    if _delete_files(table.currentSnapshot()):
        call_procedure(spark, "rewrite_position_delete_files", full_name, options=_FEWEST_FILES)
        table.refresh()
    carry_properties(table)


def _large(table: Any) -> int:
    """``LARGE``, or less where all files are to be smaller: Iceberg takes none above the size it aims at."""
    properties: Mapping[str, str] = table.properties()
    target = int(properties.get("write.target-file-size-bytes") or 2**29)
    return min(LARGE, target * 3 // 4)
