"""Single objects, written through Spark's JVM: the same file system, and rights, as the data has."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def put_object(spark: SparkSession, uri: str, content: bytes) -> None:
    """Write an object, in place of what is there."""
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    path = jvm.org.apache.hadoop.fs.Path(uri)
    configuration = spark._jsc.hadoopConfiguration()  # type: ignore[attr-defined, unused-ignore]
    stream = path.getFileSystem(configuration).create(path, True)
    try:
        stream.write(content)
    finally:
        stream.close()
