"""Data docs: what the last audit of each table found, as one page that stands by itself.

Great Expectations' own builder makes a site of many files that loads scripts and styles from other hosts;
this page is read from a bucket, where there may be no way out. Counts and declarations only: no value of any row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import functions as F
from pyspark.sql.window import Window

from glue_jobs.curation import DATA_DOCS
from glue_jobs.curation.data_docs_page import CheckReport, Report, render
from glue_jobs.curation.declarations import CURATED, Declarations
from glue_jobs.curation.results import RESULT_TABLE
from glue_jobs.curation.rows import SOURCE
from glue_jobs.lake.log import log
from glue_jobs.lake.objects import put_object
from glue_jobs.lake.quarantine import QUARANTINE_TABLE
from glue_jobs.lake.run import RUN_ID_PROPERTY, Run, begun_at
from glue_jobs.lake.tables import iceberg_table, row_count, snapshot_properties, table_exists
from schemas.model import Model
from schemas.view import View


def write_docs(run: Run, declarations: Declarations, failures: Mapping[str, str]) -> None:
    """Renew the page where the run was told where it belongs.

    The tables are published by then, so a page that cannot be written does not fail the run: it says so.

    Parameters
    ----------
    failures : by table, why it could not be made in this run; free of values
    """
    if run.arguments.docs_uri is None:
        return
    try:
        reports = list(_reports(run, declarations, failures))
        page = render(reports, run.run_id, datetime.now(UTC))
        put_object(run.spark, run.arguments.docs_uri + DATA_DOCS, page.encode())
    except Exception as error:
        run.note(docs_error=type(error).__name__)
        log("data docs not written", run_id=run.run_id, error=type(error).__name__)


def _reports(run: Run, declarations: Declarations, failures: Mapping[str, str]) -> Iterator[Report]:
    checks = _last_checks(run)
    aside = _set_aside(run)
    described: dict[str, View | Model] = {**declarations.views, **declarations.models}
    for name, table in described.items():
        found = checks.get(name, [])
        full_name = f"{run.catalog}.{CURATED}.{name}"
        held = iceberg_table(run.spark, full_name) if table_exists(run.spark, full_name) else None
        yield Report(
            table=name,
            description=table.description,
            rows=0 if held is None else row_count(held.currentSnapshot()),
            published_at=None if held is None else _published_at(held),
            audited_at=found[0]["checked_at"] if found else None,
            is_published=not found or bool(found[0]["published"]),
            failure=failures.get(name),
            quarantined=aside.get(name, 0),
            checks=tuple(map(_check, found)),
        )


def _published_at(table: Any) -> datetime | None:
    """When the run began that made what the table shows; None where nothing was published yet.

    Not the snapshot's own time: compaction makes snapshots too.
    """
    run_id = snapshot_properties(table).get(RUN_ID_PROPERTY)
    return None if run_id is None else begun_at(run_id)


def _check(row: Mapping[str, Any]) -> CheckReport:
    return CheckReport(
        expectation=row["expectation"],
        columns=tuple(filter(None, row["columns"].split(","))),
        arguments=row["arguments"],
        severity=row["severity"],
        reason=row["reason"],
        success=row["success"],
        evaluated=row["evaluated"],
        checked=row["checked"],
        unexpected=row["unexpected"],
    )


def _last_checks(run: Run) -> dict[str, list[Mapping[str, Any]]]:
    """By table, the results of its last audit."""
    name = f"{run.catalog}.{RESULT_TABLE.name}"
    if not table_exists(run.spark, name):
        return {}
    latest = F.max("run_id").over(Window.partitionBy("table_name"))
    # As microseconds: timestamps come to Python by way of this machine's time zone.
    rows = run.spark.table(name).withColumn("_latest", latest).where("run_id = _latest")
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows.withColumn("checked_at", F.unix_micros("checked_at")).collect():
        each = row.asDict()
        each["checked_at"] = datetime.fromtimestamp(each["checked_at"] / 1_000_000, UTC)
        found.setdefault(row.table_name, []).append(each)
    return found


def _set_aside(run: Run) -> dict[str, int]:
    """By table, how many rows it lacks because they break a rule."""
    name = f"{run.catalog}.{QUARANTINE_TABLE.name}"
    if not table_exists(run.spark, name):
        return {}
    rows = run.spark.table(name).where(F.col("source") == SOURCE).groupBy("object_key").count().collect()
    return {row.object_key.removeprefix("curated."): int(row["count"]) for row in rows}
