"""The Spark session of a job. Its settings come from outside: ``--conf`` on Glue, ``local/`` on a laptop."""

from __future__ import annotations

from pyspark.sql import SparkSession

from glue_jobs.lake.errors import SessionError

_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"


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
    return spark
