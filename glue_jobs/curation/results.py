"""Validation results: one row per expectation and run in ``watershed_ops.expectation_result``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from glue_jobs.curation.publish import Outcome
from glue_jobs.curation.rules import columns_of
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import Column, TableSpec, append_rows, ensure_table

RESULT_TABLE = TableSpec(
    "watershed_ops.expectation_result",
    (
        Column("run_id", "string", "Run that audited the table"),
        Column("table_name", "string", "Curated table"),
        Column("snapshot_id", "bigint", "Snapshot that was audited"),
        Column("published", "boolean", "Whether the table was published in this run"),
        Column("expectation", "string", "Great Expectations type"),
        Column("columns", "string", "Columns concerned, separated by commas"),
        Column("arguments", "string", "JSON object: the expectation's arguments"),
        Column("severity", "string", "warn, quarantine or halt"),
        Column("reason", "string", "Why the expectation is there"),
        Column("success", "boolean", "Whether it held"),
        Column("evaluated", "boolean", "False where it could not be computed"),
        Column("checked", "bigint", "Rows looked at; null where it is about the table as a whole"),
        Column("unexpected", "bigint", "Rows for which it did not hold"),
        Column("checked_at", "timestamp", "When (UTC)"),
    ),
    "What each audit of a curated table found. Counts only, never values.",
)


def record_results(run: Run, outcomes: Sequence[Outcome]) -> None:
    """Append the checks of all tables of a run, in one commit."""
    moment = datetime.now(UTC)
    rows = [
        (
            run.run_id,
            outcome.table,
            outcome.snapshot_id,
            outcome.published,
            check.expectation.type,
            ",".join(columns_of(check.expectation)),
            json.dumps(dict(check.expectation.arguments), sort_keys=True, default=str),
            check.expectation.severity,
            check.expectation.reason,
            check.success,
            check.evaluated,
            check.checked,
            check.unexpected,
            moment,
        )
        for outcome in outcomes
        for check in outcome.checks
    ]
    if rows:
        append_rows(run.spark, ensure_table(run.spark, run.catalog, RESULT_TABLE), rows)
