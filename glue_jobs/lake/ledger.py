"""Which landing objects a job has not consumed yet: a listing against a ledger, in place of bookmarks.

Glue's bookmarks go by modification time and do not cover Iceberg; the ledger goes by object, survives any
order of arrival, and is written only after the data it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import Column as SparkColumn
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import Column, TableSpec, append_rows, ensure_table, literal, table_exists

LEDGER_TABLE = TableSpec(
    "watershed_ops.ledger",
    (
        Column("job", "string", "Job that consumed the object"),
        Column("object_key", "string", "Key in the landing bucket"),
        Column("etag", "string", "Version of the object: modified: and its time in epoch milliseconds"),
        Column("size", "bigint", "Bytes"),
        Column("run_id", "string", "Run that consumed it"),
        Column("consumed_at", "timestamp", "When that was recorded (UTC)"),
    ),
    "Landing objects that a job has consumed.",
    partitioned_by=("job",),
)


@dataclass(frozen=True, order=True)
class LandingObject:
    """An object of the landing zone. ``key`` is below the root, ``modified`` in epoch milliseconds."""

    key: str
    size: int
    modified: int

    @property
    def etag(self) -> str:
        """What tells versions of one key apart: Hadoop's listing has the time on every file system."""
        return f"modified:{self.modified}"

    def uri(self, landing_uri: str) -> str:
        return landing_uri + self.key


def list_objects(
    spark: SparkSession, landing_uri: str, prefix: str, suffixes: tuple[str, ...] = ()
) -> list[LandingObject]:
    """The objects below ``prefix`` (ends with ``/``), by key; none where the prefix does not exist.

    Names that begin with ``_`` or ``.`` are skipped, as Spark's readers and the crawlers skip them.
    """
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    root = jvm.org.apache.hadoop.fs.Path(landing_uri + prefix)
    files = root.getFileSystem(spark._jsc.hadoopConfiguration())  # type: ignore[attr-defined, unused-ignore]
    if not files.exists(root):
        return []
    found = _listed_flat if ".s3a." in str(files.getClass().getName()) else _walked
    return sorted(each for each in found(files, root, prefix) if not suffixes or each.key.endswith(suffixes))


def _walked(files: Any, root: Any, prefix: str) -> Iterator[LandingObject]:
    """Folder by folder with ``listStatus``, which unlike ``listFiles`` asks a local disk nothing per file."""
    folders = [(root, prefix)]
    while folders:
        folder, path = folders.pop()
        for status in files.listStatus(folder):
            name = str(status.getPath().getName())
            if _hidden(name):
                continue
            if status.isDirectory():
                folders.append((status.getPath(), f"{path}{name}/"))
            else:
                yield _landing_object(path + name, status)


def _listed_flat(files: Any, root: Any, prefix: str) -> Iterator[LandingObject]:
    """All at once: S3 lists a thousand objects per request whatever their folders, of which each hour adds some."""
    # Paths alone are compared: a file system may name itself by another scheme than it was asked by.
    above = len(str(root.toUri().getPath())) + 1
    statuses = files.listFiles(root, True)
    while statuses.hasNext():
        status = statuses.next()
        below = str(status.getPath().toUri().getPath())[above:]
        if not any(map(_hidden, below.split("/"))):
            yield _landing_object(prefix + below, status)


def _hidden(name: str) -> bool:
    return name.startswith(("_", "."))


def _landing_object(key: str, status: Any) -> LandingObject:
    return LandingObject(key, int(status.getLen()), int(status.getModificationTime()))


def new_objects(
    run: Run,
    prefix: str,
    suffixes: tuple[str, ...] = (".ndjson", ".ndjson.gz"),
    again: Callable[[LandingObject], bool] = lambda _: False,
) -> list[LandingObject]:
    """The objects below ``prefix`` that ``run.job`` has not consumed in their present version, by key.

    A replaced object (other size or time) is new again: merging it again does no harm. With ``--full
    true`` every object is new; so are those that ``again`` says are wanted again.
    """
    listed = list_objects(run.spark, run.arguments.landing_uri, prefix, suffixes)
    if run.arguments.full or not listed:
        return listed
    known = _consumed(run, prefix)
    return [each for each in listed if (each.key, each.size, each.etag) not in known or again(each)]


def _consumed(run: Run, prefix: str) -> set[tuple[str, int, str]]:
    table = f"{run.catalog}.{LEDGER_TABLE.name}"
    if not table_exists(run.spark, table):
        return set()
    rows = run.spark.table(table).where(
        f"job = {literal(run.job)} and startswith(object_key, {literal(prefix)})"
    )
    return {
        (row.object_key, row.size, row.etag) for row in rows.select("object_key", "size", "etag").collect()
    }


def record(run: Run, objects: Iterable[LandingObject]) -> None:
    """Write down that ``run.job`` has consumed the objects; call it after the data is committed.

    A job killed between its commit and this consumes them again, which newest-wins merges absorb.
    One commit; none where there are no objects.
    """
    moment = datetime.now(UTC)
    rows = [(run.job, each.key, each.etag, each.size, run.run_id, moment) for each in objects]
    if rows:
        append_rows(run.spark, ensure_table(run.spark, run.catalog, LEDGER_TABLE), rows)


def object_key(landing_uri: str, path: str = "_metadata.file_path") -> SparkColumn:
    """The landing key of the file that a row was read from, for frames of Spark's file readers.

    Spark gives the path as a URI, so the ``%`` of a Hive-encoded value comes encoded once more.
    """
    decoded = F.expr(f"url_decode(replace({path}, '+', '%2B'))")
    return F.substring(decoded, len(landing_uri) + 1, 2**31 - 1 - len(landing_uri))


def uris(objects: Sequence[LandingObject], landing_uri: str) -> list[str]:
    """What to give to ``spark.read.text``: one path per object, safe from globbing."""
    return [each.uri(landing_uri) for each in objects]
