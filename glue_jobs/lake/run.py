"""A job's run: its id, what it counted, and the row it leaves in ``watershed_ops.run`` however it ends."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.errors import LakeError
from glue_jobs.lake.log import log
from glue_jobs.lake.metrics import Metric, job_metrics, tell_cloudwatch
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    ensure_table,
    few_rows,
    iceberg_table,
    table_exists,
)

RUN_TABLE = TableSpec(
    "watershed_ops.run",
    (
        Column("run_id", "string", "Id of the run; a later run's id sorts after it"),
        Column("job", "string", "Job that ran"),
        Column("status", "string", "succeeded or failed; a run that was killed leaves no row"),
        Column("started_at", "timestamp", "Start (UTC)"),
        Column("ended_at", "timestamp", "End (UTC)"),
        Column("seconds", "double", "Duration"),
        Column("inputs", "string", "JSON object: what was read, with counts"),
        Column("rows_written", "bigint", "Rows inserted, updated or deleted in all tables"),
        Column("rows_quarantined", "bigint", "Rows set aside"),
        Column("detail", "string", "JSON object: rows per table, snapshots, the error of a failed run"),
    ),
    "One row per job run that ended.",
)
RUN_ID_PROPERTY = "watershed.run_id"


def new_run_id(after: str = "") -> str:
    """An id that sorts after ``after``: UTC time to the millisecond and eight random hexadecimal digits.

    The time moves ahead of the clock where the clock stands at or before that of ``after``, so that ids
    never go back when a clock does.
    """
    milliseconds = time.time_ns() // 1_000_000
    if after:
        milliseconds = max(milliseconds, _milliseconds(after) + 1)
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    stamp = f"{moment:%Y%m%dT%H%M%S}{milliseconds % 1000:03d}Z"
    return f"{stamp}-{secrets.token_hex(4)}"


def begun_at(run_id: str) -> datetime:
    """The second at which a run was named."""
    return datetime.strptime(run_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _milliseconds(run_id: str) -> int:
    return int(begun_at(run_id).timestamp()) * 1000 + int(run_id[15:18])


@dataclass
class Run:
    """A run under way. Jobs tell it what they did; it is written down when the job ends."""

    spark: SparkSession
    job: str
    run_id: str
    arguments: JobArguments
    started_at: datetime
    inputs: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    detail: dict[str, object] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)

    @property
    def catalog(self) -> str:
        return self.arguments.catalog

    def read(self, name: str, count: int) -> None:
        """Count what came in: objects, lines, changed resources."""
        self.inputs[name] = self.inputs.get(name, 0) + count

    def wrote(self, table: str, rows: int) -> None:
        """Count rows that changed in a table."""
        self.written[table] = self.written.get(table, 0) + rows

    def set_aside(self, reason: str, rows: int) -> None:
        """Count rows put in quarantine for a reason."""
        self.quarantined[reason] = self.quarantined.get(reason, 0) + rows

    def measured(self, metrics: Iterable[Metric]) -> None:
        """Figures for CloudWatch, beside those of every job."""
        self.metrics.extend(metrics)

    def note(self, **detail: object) -> None:
        """Keep more about the run, in JSON; counts and names only."""
        self.detail.update(detail)


@contextmanager
def job_run(spark: SparkSession, arguments: JobArguments, job: str) -> Iterator[Run]:
    """The body of a job, recorded in ``watershed_ops.run`` as ``succeeded`` or ``failed``.

    The caller's ``--run_id`` is used where it sorts after every recorded run; else (a retry with the same
    arguments) a new one is made, because readers find changes by run ids that only grow.
    An error passes through; its message is recorded only if it is one of ours, which hold no patient data.
    """
    table = f"{arguments.catalog}.{RUN_TABLE.name}"
    latest = _latest_run_id(spark, table)
    requested = arguments.run_id or ""
    run_id = requested if requested > latest else new_run_id(latest)
    run = Run(spark, job, run_id, arguments, datetime.now(UTC))
    log("run started", job=job, run_id=run_id, full=arguments.full)
    try:
        yield run
    except BaseException as error:
        run.note(error=type(error).__name__, message=str(error) if isinstance(error, LakeError) else None)
        try:
            _record(run, "failed")
        except Exception as second:
            log("run not recorded", job=job, run_id=run_id, error=type(second).__name__)
        _tell(run, failed=True)
        raise
    _record(run, "succeeded")
    _tell(run, failed=False)


def _tell(run: Run, *, failed: bool) -> None:
    figures = job_metrics(run.job, failed, sum(run.written.values()), sum(run.quarantined.values()))
    tell_cloudwatch(run.arguments.metrics_namespace, [*figures, *run.metrics])


def _latest_run_id(spark: SparkSession, table: str) -> str:
    """The greatest run id recorded, from the table's metadata alone."""
    if not table_exists(spark, table):
        return ""
    snapshot = iceberg_table(spark, table).currentSnapshot()
    return "" if snapshot is None else str(snapshot.summary().get(RUN_ID_PROPERTY) or "")


def _record(run: Run, status: str) -> None:
    ended_at = datetime.now(UTC)
    seconds = (ended_at - run.started_at).total_seconds()
    detail = {**run.detail, "written": run.written, "quarantined": run.quarantined}
    table = ensure_table(run.spark, run.catalog, RUN_TABLE)
    row = (
        run.run_id,
        run.job,
        status,
        run.started_at,
        ended_at,
        seconds,
        json.dumps(run.inputs, sort_keys=True),
        sum(run.written.values()),
        sum(run.quarantined.values()),
        json.dumps(detail, sort_keys=True, default=str),
    )
    rows = few_rows(run.spark, [row], run.spark.table(table).schema)
    rows.writeTo(table).option(f"snapshot-property.{RUN_ID_PROPERTY}", run.run_id).append()
    log("run ended", job=run.job, run_id=run.run_id, status=status, seconds=round(seconds, 3), detail=detail)
