"""Glue job: compacts every table of the lake, expires old snapshots, removes files that belong to none.

Each table as ``schemas/layouts.yaml`` says: sort order, sizes, and how far back it can be asked.

Arguments: ``--landing_uri s3://<bucket>/``, ``--catalog lake``, ``--run_id``. It runs on a schedule of its own,
beside the other jobs: a table that is compacted while ``curate`` audits it is audited anew on what compaction
left; where a job came before compaction, that table waits for the next night and the run says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

from glue_jobs.curation.declarations import CURATED
from glue_jobs.curation.inputs import needed_snapshots
from glue_jobs.deid.twin import TWIN
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.errors import LakeError
from glue_jobs.lake.layout import apply_layout, retention
from glue_jobs.lake.log import log
from glue_jobs.lake.maintenance import maintain_table
from glue_jobs.lake.run import Run, job_run
from glue_jobs.lake.session import spark_session
from glue_jobs.lake.tables import iceberg_table, tables_in
from schemas.layout import Layout, Layouts, load_layouts

JOB = "maintain"
DATABASES = ("watershed_conformed", "watershed_curated", "watershed_ops")


class MaintenanceFailed(LakeError):
    """Raised after every table was tried, when some could not be maintained."""


def maintain(run: Run, layouts: Layouts) -> None:
    """Maintain every table as its layout says; one that fails holds up no other.

    Raises
    ------
    MaintenanceFailed : naming the tables that failed
    """
    databases = (*DATABASES, TWIN) if run.arguments.deid else DATABASES
    made = [each for name in databases for each in tables_in(run.spark, run.catalog, name) if CURATED in name]
    needed = needed_snapshots(run.spark, made)
    failed: dict[str, str] = {}
    for database in databases:
        for table in tables_in(run.spark, run.catalog, database):
            try:
                layout = _layout(run, layouts, database, table)
                apply_layout(run.spark, iceberg_table(run.spark, table), layout)
                done = asdict(maintain_table(run.spark, table, retention(layout), needed.get(table, ())))
            except Exception as error:
                failed[table] = type(error).__name__
                log("not maintained", run_id=run.run_id, table=table, error=type(error).__name__)
                continue
            run.note(**{table: done})
            log("maintained", run_id=run.run_id, table=table, counts=done)
    if failed:
        named = ", ".join(f"{table} ({error})" for table, error in failed.items())
        raise MaintenanceFailed(f"Not maintained: {named}", "Run it again when no other job is writing")


def _layout(run: Run, layouts: Layouts, database: str, full_name: str) -> Layout:
    name = full_name.rpartition(".")[2]
    if database == TWIN:
        return layouts.of_twin(name, run.spark.table(full_name).columns)
    return layouts.of(database.removeprefix("watershed_"), name)


def main(argv: Sequence[str]) -> None:
    """Run the job."""
    arguments = JobArguments.parse(argv)
    with job_run(spark_session(arguments.catalog), arguments, JOB) as run:
        maintain(run, load_layouts())


if __name__ == "__main__":
    main(sys.argv[1:])
