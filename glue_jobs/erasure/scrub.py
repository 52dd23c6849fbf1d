"""A table without what its rows no longer need: old data files, manifests, branches, snapshots, strays.

A delete in Iceberg leaves rows readable: in data files, which delete files only point into; in older
snapshots; and manifests keep the bounds of columns of files that a commit removed. So a table is rewritten
where deletes point, gets new manifests, loses its branches and all snapshots but one, and then every file
that belongs to none.

Nothing else may write meanwhile: files of a commit under way would be taken for strays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from glue_jobs.lake.errors import LakeError, Terminal
from glue_jobs.lake.procedure import call_procedure
from glue_jobs.lake.tables import iceberg_table, literal, quoted, snapshot_properties

_REWRITE = {"delete-file-threshold": "1", "min-input-files": "2", "remove-dangling-deletes": "true"}
_MANIFEST_SIZE = "'commit.manifest.target-size-bytes'"
_KEPT = (".metadata.json", ".gz.metadata.json", "version-hint.text")
"""Metadata names columns and files and holds no values; Iceberg removes old ones by itself."""


class UnknownFiles(LakeError, Terminal):
    """Raised when files that a table needs are not where it lies, so that strays cannot be told."""


@dataclass(frozen=True)
class ScrubbedTable:
    """What was done to a table: rows deleted, files rewritten and removed, snapshots and branches dropped."""

    table: str
    rows: int
    rewritten_files: int
    expired_snapshots: int
    dropped_branches: int
    removed_strays: int

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def scrub_table(spark: SparkSession, table: str, rows: int) -> ScrubbedTable:
    """Leave nothing of the table but what its current rows need. ``rows``: deleted before, for the report.

    Raises
    ------
    UnknownFiles : nothing was removed as a stray
    """
    branches = _drop_branches(spark, table)
    rewritten = _apply_deletes(spark, table)
    _renew_manifests(spark, table)
    expired = _expire(spark, table)
    strays = _remove_strays(spark, table)
    return ScrubbedTable(table.partition(".")[2], rows, rewritten, expired, branches, strays)


def _drop_branches(spark: SparkSession, table: str) -> int:
    """Drop every branch and tag but ``main``: each keeps its snapshots, and their files, alive."""
    references = iceberg_table(spark, table).refs()
    names = [str(name) for name in references.keySet() if str(name) != "main"]
    for name in names:
        kind = "branch" if references.get(name).isBranch() else "tag"
        spark.sql(f"alter table {table} drop {kind} {quoted(name)}")
    return len(names)


def _apply_deletes(spark: SparkSession, table: str) -> int:
    """Rewrite the data files that deletes point into; how many."""
    snapshot = iceberg_table(spark, table).currentSnapshot()
    if snapshot is None or not list(snapshot.deleteManifests(iceberg_table(spark, table).io())):
        return 0
    (done,) = call_procedure(spark, "rewrite_data_files", table, options=_REWRITE)
    return int(done["rewritten_data_files_count"])


def _renew_manifests(spark: SparkSession, table: str) -> None:
    """Write manifests of the files that are there, and no others; the snapshot's properties stay."""
    iceberg = iceberg_table(spark, table)
    snapshot = iceberg.currentSnapshot()
    manifests = [] if snapshot is None else list(snapshot.allManifests(iceberg.io()))
    if not any(each.hasDeletedFiles() for each in manifests):
        return
    held = snapshot_properties(iceberg)
    # Iceberg leaves a lone manifest as it is, unless it is larger than the table's manifests should be.
    size = literal(str(max(1, min(int(each.length()) for each in manifests) // 2)))
    spark.sql(f"alter table {table} set tblproperties ({_MANIFEST_SIZE} = {size})")
    try:
        call_procedure(spark, "rewrite_manifests", table, use_caching="false")
    finally:
        spark.sql(f"alter table {table} unset tblproperties ({_MANIFEST_SIZE})")
    append = iceberg_table(spark, table).newAppend()  # leaves out manifests that hold nothing any more
    for key, value in held.items():
        append.set(key, value)
    append.commit()


def _expire(spark: SparkSession, table: str) -> int:
    """Expire every snapshot but the current one, with the files that only they need; how many."""
    iceberg = iceberg_table(spark, table)
    before = sum(1 for _ in iceberg.snapshots())
    if before > 1:
        newest = int(iceberg.currentSnapshot().timestampMillis())
        iceberg.expireSnapshots().expireOlderThan(newest + 1).retainLast(1).commit()
    return before - sum(1 for _ in iceberg_table(spark, table).snapshots())


def _remove_strays(spark: SparkSession, table: str) -> int:
    """Remove files that belong to no snapshot, however young; how many.

    Iceberg's own procedure spares those of a day. Paths are compared without scheme: the catalog may say
    ``s3://`` where the file system says ``s3a://``.
    """
    iceberg = iceberg_table(spark, table)
    location = str(iceberg.location())
    needed = {_plain(path) for path in _needed(spark, table, iceberg)}
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    root = jvm.org.apache.hadoop.fs.Path(location)
    files = root.getFileSystem(spark._jsc.hadoopConfiguration())  # type: ignore[attr-defined, unused-ignore]
    listed = {_plain(str(path)): path for path in _listed(files, root)}
    missing = needed - listed.keys()
    if missing:
        raise UnknownFiles(
            f"{len(missing)} files of {table} are not below its location",
            "Move the table's files there (rewrite_data_files with rewrite-all), and repeat the erasure",
        )
    strays = [path for plain, path in listed.items() if plain not in needed and not plain.endswith(_KEPT)]
    for path in strays:
        files.delete(path, False)
    return len(strays)


def _needed(spark: SparkSession, table: str, iceberg: Any) -> Iterator[str]:
    for row in spark.table(f"{table}.all_files").select("file_path").distinct().collect():
        yield row.file_path
    for snapshot in iceberg.snapshots():
        yield str(snapshot.manifestListLocation())
        for manifest in snapshot.allManifests(iceberg.io()):
            yield str(manifest.path())
    for statistics in (*iceberg.statisticsFiles(), *iceberg.partitionStatisticsFiles()):
        yield str(statistics.path())


def _listed(files: Any, root: Any) -> Iterator[Any]:
    folders = [root]
    while folders:
        for status in files.listStatus(folders.pop()):
            if status.isDirectory():
                folders.append(status.getPath())
            else:
                yield status.getPath()


def _plain(path: str) -> str:
    """Bucket and key. The JVM writes both kinds of path without percent-encoding."""
    address = urlsplit(path.replace("#", "%23").replace("?", "%3F"))
    return f"{address.netloc}{address.path}"
