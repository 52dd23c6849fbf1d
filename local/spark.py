"""Spark as the jobs see it on Glue, on this machine: same catalog name, same ``s3://`` URIs, same SQL.

Hadoop's ``ViewFileSystemOverloadScheme`` maps ``s3://<bucket>/`` to a folder of the local mirror by
configuration alone, so no job knows where it runs
(https://hadoop.apache.org/docs/r3.3.4/hadoop-project-dist/hadoop-hdfs/ViewFsOverloadScheme.html).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from local.java import use_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ICEBERG_JAR = "iceberg-spark-runtime-3.5_2.12-1.10.2.jar"

PLANNED_IN_PLACE = " -Diceberg.scan.plan-in-worker-pool=false"
"""For Java: Iceberg asks every 10 ms whether the threads that read a table's manifests are done. Files on this machine
are read in less; on S3 those threads are worth it."""

_ENGINE: Mapping[str, str] = {
    "spark.master": "local[2]",
    "spark.driver.memory": "2g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Every query writes its plans out for a user interface, which nobody opens here.
    "spark.sql.ui.explainMode": "simple",
    # Small data on few cores: more partitions than cores only cost scheduling.
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    # Adaptive execution plans each query again after every shuffle, and here planning is most of the work.
    "spark.sql.adaptive.enabled": "false",
    # The landing zone is many small files: packed into few tasks, listed by the driver and not by a Spark job
    # with a task per file, and without asking where each one lies, for which Hadoop runs `ls` per file.
    "spark.sql.files.openCostInBytes": "65536",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.sql.sources.ignoreDataLocality": "true",
    # Several tables are made at a time: none waits for all the tasks of another.
    "spark.scheduler.mode": "FAIR",
    # C2's compile threads fight the tasks for two cores; jobs here end before they pay off. Without C2 Java
    # reserves 48 MB for compiled code, which a job or two fill: the rest is then interpreted, or fails.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
    " -XX:+UseSerialGC -Duser.timezone=UTC" + PLANNED_IN_PLACE,
    "spark.sql.session.timeZone": "UTC",
}
_LAKE: Mapping[str, str] = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.lake.type": "hadoop",
    # Iceberg reckons 4 MB for opening a file, and so gives each few small files a task of their own.
    "spark.sql.catalog.lake.table-default.read.split.open-file-cost": "65536",
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
    # Without checksum files: Hadoop runs `chmod` for each file it makes, and would for each of these as well.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.fs.file.impl.disable.cache": "false",
}


def iceberg_jar() -> Path:
    """The Iceberg runtime for Spark 3.5 on Scala 2.12, from the wheel that carries it."""
    import snowpark_connect_deps_iceberg

    return Path(snowpark_connect_deps_iceberg.__file__).parent / "jars" / _ICEBERG_JAR


def engine_settings(scratch: Path) -> dict[str, str]:
    """The settings of a local Spark without a lake; `scratch` is the folder for what it spills."""
    from glue_jobs.lake.session import SETTINGS

    return {
        **_ENGINE,
        **SETTINGS,
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
    }


def spark_settings(mirror: Path, buckets: Iterable[str], warehouse: str) -> dict[str, str]:
    """The settings of a local Spark.

    Parameters
    ----------
    mirror : the folder that holds one folder per bucket
    buckets : names of the buckets to mount
    warehouse : ``s3://<bucket>/<prefix>`` of the Iceberg warehouse; its bucket is among ``buckets``
    """
    settings = {**engine_settings(mirror.parent / "spark"), **_LAKE}
    settings["spark.jars"] = str(iceberg_jar())
    settings["spark.sql.catalog.lake.warehouse"] = warehouse
    for bucket in buckets:
        folder = (mirror / bucket).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        settings[f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback"] = folder.as_uri()
    return settings


def start_spark(settings: Mapping[str, str], name: str = "watershed") -> SparkSession:
    """A session with these settings; the first of a process starts the JVM."""
    use_java()
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
