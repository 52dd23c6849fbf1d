"""Glue job: landed changes of DynamoDB items into ``conformed.<type>`` and ``conformed.<type>_history``.

Arguments: ``--landing_uri s3://<bucket>/``, ``--catalog lake``, ``--run_id``, ``--full true`` (read every
landing object again, for instance after a type gained an attribute).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from glue_jobs.conform.items import conform_items
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import job_run
from glue_jobs.lake.session import spark_session
from schemas import load_item_types

JOB = "conform_items"


def main(argv: Sequence[str]) -> None:
    """Run the job; any error fails the run, after what succeeded was recorded."""
    arguments = JobArguments.parse(argv)
    with job_run(spark_session(arguments.catalog), arguments, JOB) as run:
        conform_items(run, load_item_types().values())


if __name__ == "__main__":
    main(sys.argv[1:])
