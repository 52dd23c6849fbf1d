"""Bad input set aside: the line as it came to the landing zone's quarantine, and a row without it to ops.

The line may hold patient data, so it goes where landing's protection applies and nowhere else; the ops row
says where it is, why it was refused, and a hash of its key.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from pyspark.sql import DataFrame

from glue_jobs.lake.log import log
from glue_jobs.lake.objects import put_object
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import Column, TableSpec, append_rows, ensure_table, literal, table_exists

QUARANTINE_TABLE = TableSpec(
    "watershed_ops.quarantine",
    (
        Column("run_id", "string", "Run that set the line aside"),
        Column("source", "string", "items, fhir, fhir_changes or curated"),
        Column("reason", "string", "Why, as a short name"),
        Column(
            "object_key",
            "string",
            "Landing object that holds the line, or the curated table that lacks the row",
        ),
        Column("line", "bigint", "Line number in it, from 1; null for a row of a curated table"),
        Column("key_hash", "string", "SHA-256 of the record's key, where it could be read"),
        Column("detail", "string", "The field or rule concerned; never a value"),
        Column("quarantined_at", "timestamp", "When (UTC)"),
    ),
    "Lines that a job could not use, and rows that curated tables lack because they break a rule of theirs. "
    "The lines themselves are under quarantine/ in the landing bucket.",
)
COLUMNS = ("object_key", "line", "text", "reason", "key_hash", "detail")


@dataclass(frozen=True)
class Refused:
    """One refused line: ``line`` counts from 1, ``text`` is the line as it came."""

    object_key: str
    line: int
    text: str
    reason: str
    key_hash: str | None = None
    detail: str | None = None


def key_hash(*key: object) -> str:
    """What ops may keep of a record's key: equal for equal keys, and no way back without guessing them."""
    return hashlib.sha256("\x1f".join(map(str, key)).encode()).hexdigest()


def quarantine(run: Run, source: str, lines: DataFrame) -> dict[str, int]:
    """Set lines aside and count them in ``run``; returns the counts by reason (empty: nothing written).

    Parameters
    ----------
    source : ``items``, ``fhir`` or ``fhir_changes``
    lines : columns ``object_key, line, text, reason, key_hash, detail`` (the last two may be null); read
        once, in order of reason and object, so cache it if it is costly

    Call it before the ledger is written. Landing objects are named for the object the lines came from and
    rows already in ``ops.quarantine`` are not added again, so a job that was killed can repeat this.
    """
    ordered = lines.select(*COLUMNS).orderBy("reason", "object_key", "line")
    refused = (Refused(**row.asDict()) for row in ordered.toLocalIterator())
    rows, counts = _write_objects(run, source, refused)
    if not rows:
        return {}
    table = ensure_table(run.spark, run.catalog, QUARANTINE_TABLE)
    known = _known(run, table, source)
    moment = datetime.now(UTC)
    append_rows(
        run.spark,
        table,
        [
            (run.run_id, source, each.reason, each.object_key, each.line, each.key_hash, each.detail, moment)
            for each in rows
            if (each.object_key, each.line, each.reason) not in known
        ],
    )
    for reason, count in sorted(counts.items()):
        run.set_aside(reason, count)
    log("quarantined", run_id=run.run_id, source=source, counts=counts)
    return dict(counts)


def release(run: Run, source: str, object_keys: Collection[str]) -> int:
    """Forget what was refused in landing objects that are about to be read again; how many lines that was.

    What is refused again goes back by ``quarantine``.
    """
    full_name = f"{run.catalog}.{QUARANTINE_TABLE.name}"
    if not object_keys or not table_exists(run.spark, full_name):
        return 0
    refused = Counter(key for key, _, _ in _known(run, full_name, source))
    keys = sorted(refused.keys() & set(object_keys))
    if keys:
        run.spark.sql(
            f"delete from {full_name} where source = {literal(source)}"
            f" and object_key in ({', '.join(map(literal, keys))})"
        )
    return sum(refused[key] for key in keys)


def _write_objects(run: Run, source: str, refused: Iterable[Refused]) -> tuple[list[Refused], Counter[str]]:
    """One object per reason and source object; texts are held for one such group at a time."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    kept: list[Refused] = []
    counts: Counter[str] = Counter()
    for (reason, key), group in groupby(refused, key=lambda each: (each.reason, each.object_key)):
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        path = f"quarantine/source={source}/reason={reason}/date={day}/{name}.ndjson.gz"
        members = list(_write(run, run.arguments.landing_uri + path, group))
        kept += members
        counts[reason] += len(members)
    return kept, counts


def _write(run: Run, uri: str, group: Iterable[Refused]) -> Iterator[Refused]:
    """Write the group's lines to one gzip object; yields its members without their texts."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as archive:
        for each in group:
            archive.write(each.text.encode() + b"\n")
            yield Refused(each.object_key, each.line, "", each.reason, each.key_hash, each.detail)
    put_object(run.spark, uri, buffer.getvalue())


def _known(run: Run, table: str, source: str) -> set[tuple[str, int, str]]:
    rows = run.spark.table(table).where(f"source = {literal(source)}")
    return {(row.object_key, row.line, row.reason) for row in rows.collect()}
