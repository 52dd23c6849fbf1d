"""Every case of `cases/` (files in the format of the official suite), in both ANSI modes.

`WATERSHED_ANSI` narrows the modes: `true` (the default of Spark 4, and so of Glue 6.0) or `false`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glue_jobs.sql_on_fhir.conformance import run_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_case_of_the_file_passes(spark_in_mode: SparkSession, file: Path) -> None:
    results = list(run_file(spark_in_mode, file))

    assert results
    assert {result.name: result.error for result in results if not result.passed} == {}
