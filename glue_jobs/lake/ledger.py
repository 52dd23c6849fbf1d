"""Which landing objects a job has not consumed yet: a listing against a ledger, in place of bookmarks.

Glue's bookmarks go by modification time and do not cover Iceberg; the ledger goes by object, survives any
order of arrival, and is written only after the data it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F

from glue_jobs.lake.listing import LandingObject, list_objects, list_recent
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
SWEPT_EVERY = timedelta(days=1)
"""How often all of a zone is listed where otherwise its latest days are."""


@dataclass(frozen=True)
class News:
    """What a job has not consumed of a zone.

    Attributes
    ----------
    objects : by key
    swept : stands in the ledger for the whole zone, where all of it was listed; None: some days were
    """

    objects: tuple[LandingObject, ...]
    swept: LandingObject | None = None

    @property
    def consumed(self) -> tuple[LandingObject, ...]:
        """What to record once the objects are in the tables."""
        return (*self.objects, self.swept) if self.swept else self.objects


def news(
    run: Run,
    zone: str,
    suffixes: tuple[str, ...] = (".ndjson", ".ndjson.gz"),
    again: Callable[[LandingObject], bool] | None = None,
) -> News:
    """What ``run.job`` has not consumed below ``zone``, whose folders name the day: ``year=/month=/day=``.

    With ``--recent_days N`` those of today and the N days before are listed, and all of them once a day, or
    where objects are wanted ``again``: so a run costs what came lately and not what ever came, and what
    landed later than that is found a day later. Without, all are.
    """
    days = run.arguments.recent_days
    if days is None:
        return News(tuple(new_objects(run, zone, suffixes, again)))
    if not run.arguments.full and not again:
        since = run.started_at.date() - timedelta(days=days)
        # What was consumed before its day, by whatever clock, is consumed again, which does no harm.
        known = _consumed(run, zone, since - timedelta(days=1))
        yesterday = int((run.started_at - SWEPT_EVERY).timestamp() * 1000)
        if any(key == zone and int(etag.partition(":")[2]) > yesterday for key, _, etag in known):
            listed = list_recent(run.spark, run.arguments.landing_uri, zone, suffixes, since)
            return News(tuple(each for each in listed if each.identity not in known))
    swept = LandingObject(zone, 0, int(run.started_at.timestamp() * 1000))
    return News(tuple(new_objects(run, zone, suffixes, again)), swept)


def new_objects(
    run: Run,
    prefix: str,
    suffixes: tuple[str, ...] = (".ndjson", ".ndjson.gz"),
    again: Callable[[LandingObject], bool] | None = None,
) -> list[LandingObject]:
    """The objects below ``prefix`` that ``run.job`` has not consumed: ``unconsumed`` of all of them, by key."""
    listed = list_objects(run.spark, run.arguments.landing_uri, prefix, suffixes)
    return unconsumed(run, prefix, listed, again)


def unconsumed(
    run: Run,
    prefix: str,
    listed: list[LandingObject],
    again: Callable[[LandingObject], bool] | None = None,
) -> list[LandingObject]:
    """Of the objects listed below ``prefix`` those that ``run.job`` has not consumed in their present version.

    A replaced object (other size or time) is new again: merging it again does no harm. With ``--full
    true`` every object is new; so are those that ``again`` says are wanted again.
    """
    if run.arguments.full or not listed:
        return listed
    known = _consumed(run, prefix)
    return [each for each in listed if each.identity not in known or (again is not None and again(each))]


def _consumed(run: Run, prefix: str, since: date | None = None) -> set[tuple[str, int, str]]:
    table = f"{run.catalog}.{LEDGER_TABLE.name}"
    if not table_exists(run.spark, table):
        return set()
    rows = run.spark.table(table).where(
        f"job = {literal(run.job)} and startswith(object_key, {literal(prefix)})"
    )
    if since is not None:
        rows = rows.where(f"consumed_at >= timestamp '{since.isoformat()} 00:00:00Z'")
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
