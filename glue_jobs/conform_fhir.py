"""Glue job: landed HealthLake exports into ``conformed.fhir_resource``.

Arguments: ``--landing_uri s3://<bucket>/``, ``--catalog lake``, ``--run_id``, ``--full true`` (read every
export again), ``--export_id`` (this export alone).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from glue_jobs.conform.fhir import conform_fhir
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import job_run
from glue_jobs.lake.session import spark_session

JOB = "conform_fhir"


def main(argv: Sequence[str]) -> None:
    """Run the job; any error fails the run, after what was done is recorded."""
    arguments = JobArguments.parse(argv)
    with job_run(spark_session(arguments.catalog), arguments, JOB) as run:
        conform_fhir(run)


if __name__ == "__main__":
    main(sys.argv[1:])
