"""Glue job: conformed tables to curated ones: views and models, audited before analysts see them.

Arguments: ``--landing_uri s3://<bucket>/``, ``--catalog lake``, ``--run_id``, ``--full true`` (rebuild
every table rather than what changed; gives the same rows), ``--docs_uri s3://<bucket>/`` (the data docs go
to ``data-docs/index.html`` there).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from glue_jobs.curation.declarations import load_declarations
from glue_jobs.curation.job import curate
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import job_run
from glue_jobs.lake.session import spark_session

JOB = "curate"


def main(argv: Sequence[str]) -> None:
    """Run the job; a table that fails its audit fails the run, after every other table was published."""
    arguments = JobArguments.parse(argv)
    with job_run(spark_session(arguments.catalog), arguments, JOB) as run:
        curate(run, load_declarations())


if __name__ == "__main__":
    main(sys.argv[1:])
