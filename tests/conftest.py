"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A zone that is neither UTC nor whole hours away from it shows every place that forgets the time zone.
os.environ["TZ"] = "Asia/Kathmandu"
time.tzset()


def examples(usually: int) -> int:
    """How many examples a property test tries.

    ``WATERSHED_EXAMPLES=10`` makes it ten times as many, ``WATERSHED_EXAMPLES_MIN=5000`` as many at least.
    """
    least = int(os.environ.get("WATERSHED_EXAMPLES_MIN", "0"))
    return max(least, round(usually * float(os.environ.get("WATERSHED_EXAMPLES", "1"))))


# A busy machine is no failure: no example has a deadline.
settings.register_profile(
    "watershed", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("watershed")

# The modes that tests of both run in; the session of the other tests has the first.
ANSI_MODES = os.environ.get("WATERSHED_ANSI", "false,true").split(",")


PATIENCE = 180.0
"""Seconds that a test waits for what must come. Only one that fails waits so long; a busy machine is no failure."""

LANDING_BUCKET = "watershed-landing-test"
LAKE_BUCKET = "watershed-lake-test"


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder behind ``s3://`` in Spark tests: one folder per bucket."""
    return tmp_path_factory.mktemp("state") / "mirror"


@pytest.fixture(scope="session")
def spark(mirror: Path) -> Iterator[SparkSession]:
    """One real local Spark per test process, with the Iceberg catalog ``lake`` on ``s3://``.

    On Spark 4 (see scripts/spark4.py) without the catalog, for which Iceberg would need another build.
    """
    import pyspark

    from glue_jobs.lake.session import remember_names
    from local.spark import engine_settings, spark_settings, start_spark

    if pyspark.__version__.startswith("3."):
        settings = spark_settings(mirror, [LANDING_BUCKET, LAKE_BUCKET], f"s3://{LAKE_BUCKET}/warehouse")
    else:
        settings = engine_settings(mirror.parent / "spark")
    settings["spark.sql.ansi.enabled"] = ANSI_MODES[0]
    session = start_spark(settings, name="tests")
    remember_names(session)
    yield session
    session.stop()


@pytest.fixture(params=ANSI_MODES, ids=lambda mode: f"ansi={mode}")
def spark_in_mode(spark: SparkSession, request: pytest.FixtureRequest) -> Iterator[SparkSession]:
    """The session in each ANSI mode: off as on Glue 5.1, on as on Glue 6.0."""
    spark.conf.set("spark.sql.ansi.enabled", request.param)
    yield spark
    spark.conf.set("spark.sql.ansi.enabled", ANSI_MODES[0])


@pytest.fixture
def landing_uri() -> str:
    """``s3://`` of the landing bucket in Spark tests; its files lie under ``mirror / LANDING_BUCKET``."""
    return f"s3://{LANDING_BUCKET}/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The processes end together when the long tests come first."""
    items.sort(key=_slowest_first)


def _slowest_first(item: pytest.Item) -> int:
    return 0 if item.get_closest_marker("e2e") else 1 if item.get_closest_marker("spark") else 2
