"""The Spark session of a job. Its settings come from outside: ``--conf`` on Glue, ``local/`` on a laptop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.lake.errors import SessionError

_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"

_NAMES = (
    "functions",
    "Column",
    "PythonUtils",
    "SparkSession",
    "py4j.reflection.TypeUtil",
    "com.fasterxml.jackson.databind.ObjectMapper",
    "org.apache.spark.util.Utils",
    "org.apache.spark.sql.types.StructType",
    "org.apache.spark.sql.api.python.PythonSQLUtils",
    "org.apache.iceberg.spark.Spark3Util",
    "org.apache.iceberg.spark.SparkSchemaUtil",
    "org.apache.hadoop.fs.Path",
)


SETTINGS: Mapping[str, str] = {
    # Spark writes the plan of every query into its events, several times with adaptive execution, and into some
    # errors; that of a merge holds the slots of its keys, 512 KB of digits (see ``keys.py``).
    "spark.sql.maxPlanStringLength": "4000",
}
"""What every session has, on Glue and on a laptop: ``--conf`` and ``local/`` say the rest."""

_INTERPRETED: Mapping[str, str] = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
_PARTITIONS = "spark.sql.shuffle.partitions"
FEW_TASKS = 4
"""Tasks behind a shuffle of few rows: one for each core of Glue's smallest executor."""
FEW_ROWS = 5_000_000
"""Up to so many rows to look at, Java classes to do that take longer to compile, and many tasks longer to start,
than they save."""
_MAKING = 10
"""To make a row is as much work as to look at so many for a key and an audit."""


@contextmanager
def interpreted(spark: SparkSession, held: int, made: int = 0) -> Iterator[None]:
    """Where a run's tables hold few rows and it makes few, evaluate expressions as they stand and in few tasks, for as
    long as this lasts.

    Spark else writes Java classes for every query, compiles them, and has Java warm up to them: a third of the
    processor's time in a run over many tables with little news. Both ways give the same rows. The setting is the
    session's, so enter it where no other thread of the job is at work.
    """
    with in_few_tasks(spark, held, made), with_settings(spark, _INTERPRETED if _few(held, made) else {}):
        yield


@contextmanager
def in_few_tasks(spark: SparkSession, held: int, made: int = 0) -> Iterator[None]:
    """Where a job looks at few rows and makes few, shuffle into few tasks and plan every query once, for as long as
    this lasts.

    Spark else shuffles into 200, and adaptive execution, which brings them together, plans a query again after each
    of its shuffles. As ``interpreted``, enter it where no other thread of the job is at work.
    """
    if not _few(held, made):
        yield
        return
    tasks = min(FEW_TASKS, int(str(spark.conf.get(_PARTITIONS))))
    with with_settings(spark, {_PARTITIONS: str(tasks), "spark.sql.adaptive.enabled": "false"}):
        yield


def _few(held: int, made: int) -> bool:
    return held + _MAKING * made <= FEW_ROWS


@contextmanager
def with_settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Other settings of the session for as long as this lasts."""
    before = {name: spark.conf.get(name) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            spark.conf.set(name, str(earlier))


def remember_names(spark: SparkSession) -> None:
    """Look up once what PySpark and the jobs ask the JVM for again and again.

    Py4J remembers no name: at every call of a function it has the JVM search every jar for each thing that
    ``functions`` or ``org`` might be. Of a run with little news that is a quarter of the time.
    """
    for name in _NAMES:
        owner: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
        for part in name.split("."):
            found = getattr(owner, part)
            setattr(owner, part, found)
            owner = found


def spark_session(catalog: str = "lake") -> SparkSession:
    """The session, after checking what the jobs rely on: the Iceberg catalog, its SQL, and UTC.

    Raises
    ------
    SessionError : naming the setting that is missing
    """
    spark = SparkSession.builder.getOrCreate()
    if not spark.conf.get(f"spark.sql.catalog.{catalog}", None):
        raise SessionError(
            f"Spark has no catalog {catalog!r}",
            f"Start the job with --conf spark.sql.catalog.{catalog}=org.apache.iceberg.spark.SparkCatalog",
        )
    if _EXTENSIONS not in (spark.conf.get("spark.sql.extensions", None) or ""):
        raise SessionError(
            "Spark has no Iceberg SQL extensions, so MERGE and branches do not exist",
            f"Start the job with --conf spark.sql.extensions={_EXTENSIONS}",
        )
    if spark.conf.get("spark.sql.session.timeZone", None) not in ("UTC", "Etc/UTC"):
        raise SessionError(
            "The session's time zone is not UTC, so timestamps without an offset would shift",
            "Start the job with --conf spark.sql.session.timeZone=UTC",
        )
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    remember_names(spark)
    return spark
