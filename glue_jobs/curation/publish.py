"""Write, audit, publish: rows go to a branch, the suite runs there, and only then does ``main`` move.

Readers of ``main`` see the last good version all the while. A branch whose audit failed stays for
inspection until the next attempt at its table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from glue_jobs.curation.audit import Check, audit
from glue_jobs.curation.counts import Renewed, uniqueness
from glue_jobs.curation.rows import Identity, set_aside, that_hold
from glue_jobs.curation.state import TableState
from glue_jobs.lake.delete_files import fold_when_due
from glue_jobs.lake.errors import CommitConflict
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.log import log
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import (
    PROPERTY_PREFIX,
    ancestry,
    current_snapshot,
    iceberg_table,
    java_texts,
    quoted,
    row_count,
)
from schemas.expectation import Suite

BRANCH_PREFIX = "audit_"
ATTEMPTS = 3
"""How often a table is written where compaction comes in between; it does so once a night."""
SMALL = 500_000
"""Values (rows times columns) up to which a table is written whole where few of its rows change: one commit in place
of two, one file in place of one more each time, and no delete files for every reader to apply."""
_CHANGED_KEYS = "_watershed_changed_keys"
_PASSED = f"{PROPERTY_PREFIX}unique"


@dataclass(frozen=True)
class Change:
    """The rows a table is to gain, and which of its rows they replace.

    ``keys`` names the rows to be replaced, those that they are replaced by included; None replaces all rows.
    ``identity`` is what its rows are known by where some may not be published. ``in_one_task`` says that few rows
    come from one task already.
    """

    rows: DataFrame
    keys: KeySet | None = None
    identity: Identity | None = None
    in_one_task: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a table in a run.

    ``snapshot_id`` is what ``main`` shows now if ``published``, else the head of the branch that stays.
    ``quarantined`` rows of the change were not published. ``rows_before`` is how many rows the table showed before.
    """

    table: str
    published: bool
    snapshot_id: int | None
    checks: tuple[Check, ...] = ()
    added: int = 0
    removed: int = 0
    branch: str | None = None
    rows_before: int = 0
    quarantined: int = 0


def publish(run: Run, full_name: str, change: Change, state: TableState, suite: Suite) -> Outcome:
    """Write the change and its state to a branch, audit the branch, and move ``main`` to it if that passes.

    Rows that break what the suite puts in quarantine are set aside instead. Where maintenance compacted the
    table in the meantime, the same is done again on what it left.

    Raises
    ------
    CommitConflict : another writer moved ``main`` in the meantime
    """
    aside: int | None = None
    with _judged_once(change, suite) as judged:
        for attempt in range(1, ATTEMPTS + 1):
            base = current_snapshot(iceberg_table(run.spark, full_name))
            outcome = _write_and_audit(run, full_name, judged, state, suite)
            if outcome.branch is not None:
                return outcome
            if aside is None:
                aside = set_aside(run, suite, judged.rows, change.keys, change.identity)
            try:
                head: int | None = _fast_forward(run.spark, full_name, _branch(run))
            except CommitConflict:
                if attempt == ATTEMPTS or not _only_compacted(run.spark, full_name, base):
                    raise
                log("compacted meanwhile", run_id=run.run_id, table=suite.table)
                continue
            if change.keys is None:
                _drop_undeclared(run.spark, full_name, change.rows)
            elif fold_when_due(run.spark, full_name):
                head = current_snapshot(iceberg_table(run.spark, full_name))
            return replace(outcome, published=True, snapshot_id=head, quarantined=aside)
    raise AssertionError("the last attempt returns or raises")


def _write_and_audit(run: Run, full_name: str, change: Change, state: TableState, suite: Suite) -> Outcome:
    """What became of the branch; ``branch`` names it only where its audit failed, so that it stays."""
    branch = _branch(run)
    _open_branch(run.spark, full_name, branch)
    snapshot = iceberg_table(run.spark, full_name).snapshot(branch)
    before, passed = row_count(snapshot), _passed(snapshot)
    publishable = replace(change, rows=that_hold(change.rows, suite))
    # A branch is published only if it passes, so what is on ``main`` has passed what its snapshot names.
    properties = {**state.properties(run.run_id), _PASSED: uniqueness(suite)}
    added = write_branch(run.spark, full_name, branch, publishable, properties)
    renewed = None
    if change.keys is not None and change.keys.few is not None:
        known = added is not None and passed == properties[_PASSED]
        renewed = Renewed(change.keys, added, passed=known)
    rows = branch_rows(run.spark, full_name, branch)
    if added is None:
        rows = rows.coalesce(1)  # they are one small file, and need no shuffle to be counted
    found = audit(rows, suite, renewed)
    if added is None:
        added = _count_renewed(rows, change) if found.renewed is None else found.renewed
    snapshot = iceberg_table(run.spark, full_name).snapshot(branch)
    removed = before + added - row_count(snapshot)
    refused = branch if any(check.halts for check in found.checks) else None
    head = int(snapshot.snapshotId())
    return Outcome(suite.table, False, head, found.checks, added, removed, refused, before)


def _count_renewed(rows: DataFrame, change: Change) -> int:
    assert change.keys is not None  # without keys all rows are new, and counted as they are written
    return change.keys.choose(rows).count()


def _passed(snapshot: Any) -> str | None:
    """Which demands of uniqueness the rows of a snapshot have passed; None after another writer than this job."""
    return None if snapshot is None else snapshot.summary().get(_PASSED)


def _branch(run: Run) -> str:
    return f"{BRANCH_PREFIX}{run.run_id}"


def _only_compacted(spark: SparkSession, full_name: str, base: int | None) -> bool:
    """Whether ``main`` has moved on from a snapshot by commits alone that changed no row: other commits, an
    erasure above all, must not be undone by what was read before them."""
    table = iceberg_table(spark, full_name)
    for each in ancestry(table, table.currentSnapshot()):
        if int(each.snapshotId()) == base:
            return True
        summary = java_texts(each.summary())
        empty = each.operation() == "append" and summary.get("added-data-files", "0") == "0"
        if each.operation() != "replace" and not empty:
            return False
    return False


@contextmanager
def _judged_once(change: Change, suite: Suite) -> Iterator[Change]:
    """The change with its rows kept where they are read twice: those that may be published, and the others."""
    if not suite.row_rules:
        yield change
        return
    rows = change.rows.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield replace(change, rows=rows)
    finally:
        rows.unpersist()


def advance(run: Run, full_name: str, table: str, state: TableState) -> Outcome:
    """Record on ``main`` that inputs were read and changed no row: a commit of metadata alone."""
    iceberg = iceberg_table(run.spark, full_name)
    append = iceberg.newAppend()
    properties = state.properties(run.run_id)
    passed = _passed(iceberg.currentSnapshot())
    for key, value in (properties if passed is None else {**properties, _PASSED: passed}).items():
        append.set(key, value)
    append.commit()
    return Outcome(table, True, current_snapshot(iceberg))


def has_refused(table: Any) -> bool:
    """Whether rows are left on a branch of an Iceberg table because their audit failed."""
    return any(str(each).startswith(BRANCH_PREFIX) for each in table.refs())


def forget_refused(spark: SparkSession, full_name: str) -> None:
    """Drop what an audit refused. For a table that shows what its inputs hold without it: as after a declaration
    was taken back, nothing is to be published that would drop it."""
    table = iceberg_table(spark, full_name)
    if has_refused(table):
        _without_refused(table).commit()


def _without_refused(table: Any) -> Any:
    manage = table.manageSnapshots()
    for name in [str(each) for each in table.refs()]:
        if name.startswith(BRANCH_PREFIX):
            manage.removeBranch(name)
    return manage


def branch_target(full_name: str, branch: str) -> str:
    """The branch as a table of its own, to write to and to read."""
    return f"{full_name}.{quoted(f'branch_{branch}')}"


def branch_rows(spark: SparkSession, full_name: str, branch: str) -> DataFrame:
    """The rows on a branch."""
    return spark.read.option("branch", branch).table(full_name)


def _open_branch(spark: SparkSession, full_name: str, branch: str) -> None:
    """A branch at the head of ``main``; those of earlier attempts go, in the same commit."""
    _without_refused(iceberg_table(spark, full_name)).createBranch(branch).commit()


def write_branch(
    spark: SparkSession, full_name: str, branch: str, change: Change, properties: Mapping[str, str]
) -> int | None:
    """Replace rows on the branch; returns how many rows were added, or None where they were written together with
    those that stay.

    A delete comes first and the append carries the state, so a branch without the state is unfinished;
    nobody reads it either way, because ``main`` moves last.
    """
    target = branch_target(full_name, branch)
    rows = _with_undeclared(spark, full_name, _in_few_files(change))
    before = row_count(iceberg_table(spark, full_name).snapshot(branch))
    keys = change.keys if before else None
    together = keys is not None and keys.few is not None and before * len(rows.columns) <= SMALL
    if keys is not None and together:
        rows = keys.leave(branch_rows(spark, full_name, branch)).unionByName(rows).coalesce(1)
    elif keys is not None:
        _delete(spark, target, keys, f"{_CHANGED_KEYS}_of_{full_name.rpartition('.')[2]}")
    writer = rows.writeTo(target)
    for key, value in properties.items():
        writer = writer.option(f"snapshot-property.{key}", value)
    if change.keys is None or together:
        writer.overwrite(F.lit(True))
    else:
        writer.append()
    if together:
        return None
    return int(iceberg_table(spark, full_name).snapshot(branch).summary().get("added-records") or 0)


def _undeclared(spark: SparkSession, full_name: str, rows: DataFrame) -> list[StructField]:
    """The columns of a table that its declaration gives no more."""
    return [field for field in spark.table(full_name).schema.fields if field.name not in rows.columns]


def _with_undeclared(spark: SparkSession, full_name: str, rows: DataFrame) -> DataFrame:
    """Rows with every column of the table: what is not declared any more is null until it is dropped."""
    gone = _undeclared(spark, full_name, rows)
    return rows.select("*", *(F.lit(None).cast(each.dataType).alias(each.name) for each in gone))


def _drop_undeclared(spark: SparkSession, full_name: str, rows: DataFrame) -> None:
    """Drop what the published rows do not give: not before, for analysts read the last good version with it."""
    gone = ", ".join(quoted(each.name) for each in _undeclared(spark, full_name, rows))
    if gone:
        spark.sql(f"alter table {full_name} drop columns ({gone})")


def _in_few_files(change: Change) -> DataFrame:
    """Rows in files sized by what there is to write, not by how the input happened to be split.

    Those of few keys are one file: a shuffle to find that out would take longer than writing it.
    """
    if change.in_one_task:
        return change.rows
    if change.keys is not None and change.keys.frame is None:
        return change.rows.coalesce(1)
    return change.rows.hint("rebalance")


def _delete(spark: SparkSession, target: str, keys: KeySet, view: str) -> None:
    """Delete by key; ``view`` is a name to give the keys, which no other table under way uses."""
    if keys.few is not None:
        spark.sql(f"delete from {target} where {keys.predicate()}")
        return
    assert keys.frame is not None  # what is not listed is joined
    keys.frame.createOrReplaceTempView(view)
    columns = ", ".join(map(quoted, keys.columns))
    try:
        spark.sql(f"delete from {target} where ({columns}) in (select {columns} from {view})")
    finally:
        spark.catalog.dropTempView(view)


def _fast_forward(spark: SparkSession, full_name: str, branch: str) -> int:
    """Move ``main`` to the branch's head and drop the branch, in one commit."""
    table = iceberg_table(spark, full_name)
    head = int(table.snapshot(branch).snapshotId())
    try:
        table.manageSnapshots().fastForwardBranch("main", branch).removeBranch(branch).commit()
    except (Py4JJavaError, PySparkException):
        if current_snapshot(iceberg_table(spark, full_name)) == head:
            return head  # the commit went through and only its answer was lost
        raise CommitConflict(
            f"{full_name} was changed by another writer while branch {branch} was audited",
            "Run curate again: it starts from what is published now",
        ) from None
    return head
