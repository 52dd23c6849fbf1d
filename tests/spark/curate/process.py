"""The curate job as a process of its own, for tests that kill it: ``python -m … <mirror> <landing uri>``."""

from __future__ import annotations

import sys
from pathlib import Path

from glue_jobs.curate import JOB
from glue_jobs.curation.job import curate
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import job_run
from glue_jobs.lake.session import spark_session
from local.spark import spark_settings, start_spark
from tests.conftest import LAKE_BUCKET, LANDING_BUCKET
from tests.spark.curate.expected import TABLES
from tests.spark.curate.world import chosen

if __name__ == "__main__":
    start_spark(
        spark_settings(Path(sys.argv[1]), [LANDING_BUCKET, LAKE_BUCKET], f"s3://{LAKE_BUCKET}/warehouse")
    )
    arguments = JobArguments.parse(["--landing_uri", sys.argv[2]])
    with job_run(spark_session(arguments.catalog), arguments, JOB) as run:
        curate(run, chosen(*TABLES))
