"""The curate job as a process of its own, for tests that kill it: ``python -m … <mirror> <landing uri>``."""

from __future__ import annotations

import sys
from pathlib import Path

from glue_jobs.curate import main
from local.spark import spark_settings, start_spark
from tests.conftest import LAKE_BUCKET, LANDING_BUCKET

if __name__ == "__main__":
    start_spark(
        spark_settings(Path(sys.argv[1]), [LANDING_BUCKET, LAKE_BUCKET], f"s3://{LAKE_BUCKET}/warehouse")
    )
    main(["--landing_uri", sys.argv[2]])
