"""The landing zone without a subject: objects written anew without its lines, manifests kept true.

Objects are read and written as streams, a few MB at a time. A run that is killed leaves each object either
as it was or clean; repeat it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import functions as F

from glue_jobs.conform.export_manifests import EXPORT_FILES, MANIFESTS, export_of
from glue_jobs.conform.fhir_deletes import FULL_EXPORT_TABLE
from glue_jobs.erasure.subject import Subject, keep, mentions
from glue_jobs.lake.ledger import LEDGER_TABLE, object_key, record, uris
from glue_jobs.lake.listing import LandingObject, list_objects
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import table_exists
from schemas import ItemType

PREFIXES = ("fhir/", EXPORT_FILES, "fhir_changes/", "items/", "quarantine/", "replayed/")
TEMPORARY = "erasure/rewrite/"
_CHUNK = 4 * 1024 * 1024
_AT_ONCE = 1_000
"""Objects searched by one Spark job: their paths stand in its plan."""


@dataclass
class Cleaned:
    """What was found: lines removed and lines that still name the subject, by object."""

    removed: dict[str, int] = field(default_factory=dict)
    stays: dict[str, int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    """Addresses of the export files that rewritten objects were copied from."""


def clean_landing(run: Run, subject: Subject, item_types: dict[str, ItemType]) -> Cleaned:
    """Remove the subject's lines from every landed and quarantined object."""
    files = _Files(run)
    cleaned = Cleaned()
    sizes: dict[str, int] = {}
    for found in _holding(run, subject):
        line_filter = _counting(subject, found.key, item_types, cleaned)
        if not files.rewrite(found, line_filter):
            continue
        if files.size(found.key) == 0 and not found.key.startswith("fhir/"):
            files.delete(found.key)  # of an export's files the manifest wants each, if empty
            continue
        sizes[found.key] = files.size(found.key)
    cleaned.removed = {key: count for key, count in cleaned.removed.items() if count}
    changed = _correct_manifests(run, files, sizes, cleaned)
    _correct_full_exports(run, sizes)
    _consumed_still(run, [*sizes, *changed])
    return cleaned


def _holding(run: Run, subject: Subject) -> Iterator[LandingObject]:
    """Objects in which the subject's key occurs at all."""
    uri = run.arguments.landing_uri
    listed: dict[str, LandingObject] = {}
    for prefix in PREFIXES:
        for each in list_objects(run.spark, uri, prefix, (".ndjson", ".ndjson.gz")):
            listed[each.key] = each
    objects = [listed[key] for key in sorted(listed)]
    for start in range(0, len(objects), _AT_ONCE):
        lines = run.spark.read.text(uris(objects[start : start + _AT_ONCE], uri))
        holding = lines.where(F.contains("value", F.lit(subject.needle)))
        keys = holding.select(object_key(uri).alias("key")).distinct().collect()
        yield from (listed[key] for key in sorted(row.key for row in keys))


LineFilter = Callable[[bytes], bytes | None]


def _counting(subject: Subject, key: str, item_types: dict[str, ItemType], cleaned: Cleaned) -> LineFilter:
    def line_filter(line: bytes) -> bytes | None:
        left = keep(subject, key, line, item_types)
        if left != line:
            cleaned.removed[key] = cleaned.removed.get(key, 0) + 1
        elif mentions(subject, line):
            cleaned.stays[key] = cleaned.stays.get(key, 0) + 1
        return left

    return line_filter


@dataclass
class _Files:
    """Objects of the landing zone through Spark's JVM: the same file system, and rights, as the data has."""

    run: Run

    def __post_init__(self) -> None:
        spark = self.run.spark
        self._jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
        root = self._path("")
        self._files = root.getFileSystem(spark._jsc.hadoopConfiguration())  # type: ignore[attr-defined, unused-ignore]

    def _path(self, key: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self.run.arguments.landing_uri + key)

    def size(self, key: str) -> int:
        return int(self._files.getFileStatus(self._path(key)).getLen())

    def delete(self, key: str) -> None:
        self._files.delete(self._path(key), False)

    def read(self, key: str) -> bytes:
        return b"".join(self._chunks(key, self.size(key)))

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        stream = self._files.create(self._path(key), True)
        try:
            for chunk in chunks:
                stream.write(chunk)
        finally:
            stream.close()

    def rewrite(self, found: LandingObject, line_filter: LineFilter) -> bool:
        """Write an object anew with what the filter leaves; False, and untouched, where that is all."""
        temporary = TEMPORARY + hashlib.sha256(found.key.encode()).hexdigest()
        zipped = found.key.endswith(".gz")
        chunks = self._chunks(found.key, found.size)
        lines = _Lines(_unzipped(chunks) if zipped else chunks, line_filter)
        self.write(temporary, _zipped(lines) if zipped else lines)
        if not lines.changed:
            self.delete(temporary)
            return False
        self.delete(found.key)
        self._files.rename(self._path(temporary), self._path(found.key))
        return True

    def _chunks(self, key: str, size: int) -> Iterator[bytes]:
        stream = self._files.open(self._path(key))
        try:
            while size > 0:
                wanted = min(_CHUNK, size)
                yield bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream, wanted))
                size -= wanted
        finally:
            stream.close()


@dataclass
class _Lines:
    """Chunks of lines, filtered; ``changed`` once the filter has touched any."""

    chunks: Iterable[bytes]
    line_filter: LineFilter
    changed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        for chunk in self.chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            yield b"".join(self._left(line, b"\n") for line in whole)
        if rest:
            yield self._left(rest, b"")

    def _left(self, line: bytes, end: bytes) -> bytes:
        left = self.line_filter(line)
        self.changed = self.changed or left != line
        return b"" if left is None else left + end


def _unzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip stream, of several members too."""
    reader = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        rest = chunk
        while rest:
            yield reader.decompress(rest)
            rest = reader.unused_data
            if reader.eof:
                reader = zlib.decompressobj(wbits=31)


def _zipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if chunk:
            yield gzip.compress(chunk, mtime=0)  # members follow upon each other: one stream to a reader


def _correct_manifests(run: Run, files: _Files, sizes: dict[str, int], cleaned: Cleaned) -> list[str]:
    """Give manifests the new sizes, which ``conform_fhir`` checks; the keys of those written."""
    exports = {part[10:] for key in sizes for part in key.split("/") if part.startswith("export_id=")}
    told = (key.removeprefix(EXPORT_FILES) for key in sizes if key.startswith(EXPORT_FILES))
    exports |= {key.partition("/")[0] for key in told}
    listed = list_objects(run.spark, run.arguments.landing_uri, MANIFESTS, (".json",)) if exports else []
    written = []
    # What an export landed before its manifest, no job has read: then there is none to correct.
    for key in (each.key for each in listed if export_of(each.key) in exports):
        manifest = json.loads(files.read(key))
        for part in ("files", "deleted", "errors"):
            for file in manifest.get(part) or ():
                if file["key"] in sizes:
                    file["size"] = sizes[file["key"]]
                    file.pop("etag", None)
                    cleaned.sources += [file["url"]] if "url" in file else []
        files.write(key, [json.dumps(manifest).encode()])
        written.append(key)
    return written


def _correct_full_exports(run: Run, sizes: dict[str, int]) -> None:
    """The full exports that later runs judge by: their files' sizes, again."""
    table = f"{run.catalog}.{FULL_EXPORT_TABLE.name}"
    if not sizes or not table_exists(run.spark, table):
        return
    rows = run.spark.table(table).collect()
    changed = []
    for row in rows:
        listed = json.loads(row.files)
        new = [[key, type_, sizes.get(key, size)] for key, type_, size in listed]
        if new != listed:
            changed.append((row.export_id, json.dumps(new)))
    if changed:
        source = run.spark.createDataFrame(changed, "export_id string, files string")
        source.createOrReplaceTempView("_watershed_sizes")
        run.spark.sql(
            f"merge into {table} t using _watershed_sizes s on t.export_id = s.export_id"
            " when matched then update set t.files = s.files"
        )
        run.spark.catalog.dropTempView("_watershed_sizes")


def _consumed_still(run: Run, keys: list[str]) -> None:
    """What a job had consumed it need not read again for having been rewritten."""
    table = f"{run.catalog}.{LEDGER_TABLE.name}"
    if not keys or not table_exists(run.spark, table):
        return
    folders = sorted({key.rpartition("/")[0] + "/" for key in keys})
    now = {
        each.key: each
        for name in folders
        for each in list_objects(run.spark, run.arguments.landing_uri, name)
    }
    rows = run.spark.table(table).where(F.col("object_key").isin(keys)).select("job", "object_key").distinct()
    by_job: dict[str, list[LandingObject]] = {}
    for row in rows.collect():
        if row.object_key in now:
            by_job.setdefault(row.job, []).append(now[row.object_key])
    for job, objects in by_job.items():
        record(Run(run.spark, job, run.run_id, run.arguments, run.started_at), objects)
