"""Rows that may not be published: told from the others by the suite, kept in ops without their values.

A row is set aside in the run that would have published it, and comes back in the run that replaces it: what
``watershed_ops.quarantine`` says of a curated table is what the table lacks now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from threading import Lock

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from glue_jobs.curation.rules import breaks, columns_of
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.log import log
from glue_jobs.lake.quarantine import QUARANTINE_TABLE
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import ensure_table, literal, quoted, table_exists
from schemas.expectation import Expectation, Suite

SOURCE = "curated"
_writing = Lock()  # tables are published side by side; their deletes in one table would refuse each other


@dataclass(frozen=True)
class Identity:
    """What a table's rows are known by: the columns of its key, and of a view the type of its resources."""

    columns: tuple[str, ...]
    resource_type: str = ""

    def hashed(self) -> Column:
        """As ``lake.quarantine.key_hash`` has it, so that an erasure finds a resource's rows here too."""
        parts = [F.coalesce(F.col(quoted(name)).cast("string"), F.lit("")) for name in self.columns]
        return F.sha2(
            F.concat_ws("\x1f", *([F.lit(self.resource_type)] if self.resource_type else []), *parts), 256
        )


def that_hold(rows: DataFrame, suite: Suite) -> DataFrame:
    """The rows that may be published."""
    for rule in suite.row_rules:
        rows = rows.where(~breaks(rule))
    return rows


def set_aside(
    run: Run, suite: Suite, rows: DataFrame, replaced: KeySet | None, identity: Identity | None
) -> int:
    """Write down which of the rows break a rule, in place of what was said of the keys replaced; how many.

    Call it before the table is published: a run that stops in between says the same again.

    Parameters
    ----------
    rows : those that the table would gain
    replaced : their keys, and those of rows that are gone; None for all
    """
    if not suite.row_rules:
        return 0
    if identity is None:
        raise ValueError(f"rows of {suite.table} cannot be set aside without what they are known by")
    found = _broken(run, suite, rows, identity).persist()
    try:
        counts = {row.reason: int(row["count"]) for row in found.groupBy("reason").count().collect()}
        with _writing:
            table = ensure_table(run.spark, run.catalog, QUARANTINE_TABLE)
            _release(run, table, suite.table, replaced, identity)
            if counts:
                found.writeTo(table).append()
            for reason, count in sorted(counts.items()):
                run.set_aside(reason, count)
    finally:
        found.unpersist()
    if counts:
        log("rows set aside", run_id=run.run_id, table=suite.table, counts=counts)
    return sum(counts.values())


def _broken(run: Run, suite: Suite, rows: DataFrame, identity: Identity) -> DataFrame:
    """One row of ``ops.quarantine`` per row that breaks a rule: the first is the reason, all are in detail."""
    rules = [(breaks(rule), rule) for rule in suite.row_rules]
    reasons = [F.when(broken, F.lit(rule.type.removeprefix("expect_column_"))) for broken, rule in rules]
    details = [F.when(broken, F.lit(_label(rule))) for broken, rule in rules]
    return rows.where(reduce(or_, [broken for broken, _ in rules])).select(
        F.lit(run.run_id).alias("run_id"),
        F.lit(SOURCE).alias("source"),
        F.coalesce(*reasons).alias("reason"),
        F.lit(_name(suite.table)).alias("object_key"),
        F.lit(None).cast("bigint").alias("line"),
        identity.hashed().alias("key_hash"),
        F.concat_ws("; ", *details).alias("detail"),
        F.lit(datetime.now(UTC)).alias("quarantined_at"),
    )


def _label(rule: Expectation) -> str:
    return f"{rule.type}({', '.join(columns_of(rule))})"


def _name(table: str) -> str:
    return f"curated.{table}"


def _release(run: Run, quarantine: str, table: str, replaced: KeySet | None, identity: Identity) -> None:
    mine = f"source = {literal(SOURCE)} and object_key = {literal(_name(table))}"
    if run.spark.table(quarantine).where(mine).isEmpty():
        return
    if replaced is None:
        run.spark.sql(f"delete from {quarantine} where {mine}")
        return
    keys = f"_watershed_released_of_{table}"
    replaced.rows(run.spark).select(identity.hashed().alias("key_hash")).createOrReplaceTempView(keys)
    try:
        run.spark.sql(f"delete from {quarantine} where {mine} and key_hash in (select key_hash from {keys})")
    finally:
        run.spark.catalog.dropTempView(keys)


def release_unruled(run: Run, suites: Iterable[Suite]) -> None:
    """Forget what was set aside of tables that have no such rule any more: they are made anew without it."""
    quarantine = f"{run.catalog}.{QUARANTINE_TABLE.name}"
    if not table_exists(run.spark, quarantine):
        return
    ruled = [literal(_name(suite.table)) for suite in suites if suite.row_rules]
    others = f"source = {literal(SOURCE)}" + (f" and object_key not in ({', '.join(ruled)})" if ruled else "")
    if not run.spark.table(quarantine).where(others).isEmpty():
        run.spark.sql(f"delete from {quarantine} where {others}")
