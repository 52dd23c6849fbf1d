"""What of a run's claims changes the table, decided without a resource's text.

A *claim* says of one resource what it was at a time: alive in a version, or gone. Claims, the table's rows and
the lists of what exists meet once, by key, in one shuffle of narrow rows; texts are fetched for winners alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.fhir_deletes import ABSENCES, ABSENT, Reconciliation
from glue_jobs.conform.fhir_listings import absence_source
from glue_jobs.lake.keys import slots_taken

KEY = ("resource_type", "id")
# The same version in two exports is the earlier one's, so that the overlap of exports rewrites nothing.
RANK = {
    "since": "coalesce(last_updated, changed_at)",
    "number": "try_cast(version_id as decimal(38, 0))",
    "version": "version_id",
    "deleted": "is_deleted",
    "early": "-unix_micros(changed_at)",
    "export": "export_id",
}
"""How claims of one resource compete: field by field, the greater wins, null is least."""
FIELDS = ("version_id", "last_updated", "is_deleted", "source", "export_id", "changed_at")
PLACE = ("object_key", "place")
"""Where a claim's line is; null for a tombstone."""
FEW = 50_000
"""So many narrow rows are sent to every task instead of shuffling what they are joined with: some 10 MB."""


@dataclass(frozen=True)
class Tally:
    """Winners of one resource type. ``late`` ones an earlier full export is to judge.

    ``slots`` are those that their keys take (``lake.keys``), where they were asked for.
    """

    resource_type: str
    rows: int
    live: int
    replacing: int
    late: int
    slots: Sequence[int] = ()


def winners(held: DataFrame, claims: DataFrame, listed: DataFrame | None, plan: Reconciliation) -> DataFrame:
    """The claims that beat the table's row of their resource, or come where it has none; and tombstones for
    what a new full export or listing lacks.

    Parameters
    ----------
    held : the table's rows of all types concerned
    claims : ``KEY``, ``FIELDS``, ``PLACE`` and ``content``, which tells contents of one version apart
    listed : ``KEY`` of what new listings hold; None: there are none

    Returns
    -------
    One row per resource: ``KEY``, ``FIELDS``, ``PLACE``, ``replaces`` (the table has a row) and ``late`` (to be
    judged by an earlier full export, ``fhir_deletes.judge_late``).
    """
    full = plan.full_export
    grouped = _grouped(held, claims, listed, plan)
    claim, kept = F.col("claim"), F.col("held")
    there = F.coalesce("listed", F.lit(False))
    submitted = full(lambda each: F.timestamp_micros(F.lit(each.submitted_micros)), "timestamp")
    disproved = _disproved(kept, there, submitted, plan)
    newer = claim.isNotNull() & (kept.isNull() | (claim["rank"] > kept["rank"]) | disproved)
    now = F.when(newer, claim["rank"]).otherwise(kept["rank"])
    missing = F.coalesce(~now["deleted"] & (now["since"] < submitted) & ~there, F.lit(False))
    new = full(lambda each: F.lit(each.new), "boolean")
    judged = grouped.select(
        *KEY,
        claim.alias("claim"),
        newer.alias("newer"),
        (missing & F.coalesce(new, F.lit(False))).alias("absent"),
        (missing & newer & ~F.coalesce(new, F.lit(True))).alias("late"),
        full(lambda each: F.lit(each.export.id), "string").alias("full"),
        submitted.alias("submitted"),
        kept.isNotNull().alias("replaces"),
    )
    return with_tombstones(
        judged.where("newer or absent").select(
            *KEY, "claim.*", "absent", "late", "full", "submitted", "replaces"
        )
    )


def with_tombstones(rows: DataFrame) -> DataFrame:
    """Rows in which what is ``absent`` from the export ``full`` has become a tombstone as of its submission."""
    absent = F.col("absent")
    tombstone = {
        "version_id": F.lit(None),
        "last_updated": F.lit(None),
        "is_deleted": F.lit(True),
        "source": absence_source(ABSENT, "full"),
        "export_id": F.col("full"),
        "changed_at": F.col("submitted"),
        "object_key": F.lit(None),
        "place": F.lit(None),
    }
    return rows.select(
        *KEY,
        *(F.when(absent, value).otherwise(F.col(name)).alias(name) for name, value in tombstone.items()),
        "replaces",
        (F.col("late") & ~absent).alias("late"),
        "full",
        "submitted",
    )


def tally(won: DataFrame, *, with_slots: bool) -> list[Tally]:
    """How many winners of what kind, by type."""
    slots = [F.expr(slots_taken(KEY)).alias("slots")] if with_slots else []
    counted = won.groupBy("resource_type").agg(
        F.count("*").alias("rows"),
        F.expr("count_if(place is not null)").alias("live"),
        F.expr("count_if(replaces)").alias("replacing"),
        F.expr("count_if(late)").alias("late"),
        *slots,
    )
    return [Tally(**row.asDict()) for row in counted.collect()]


def with_texts(won: DataFrame, tallies: Sequence[Tally], lines: DataFrame | None, good: int) -> DataFrame:
    """Winners with ``resource``, the text of their line: ``KEY``, ``FIELDS`` and ``resource``.

    ``good`` is the number of lines in ``lines`` that are resources: where all win, as in a first load, nothing
    needs to be looked up.
    """
    columns = [*KEY, *FIELDS, "resource"]
    gone = won.where("place is null").withColumn("resource", F.lit(None).cast("string")).select(*columns)
    live = sum(each.live for each in tallies)
    if lines is None or not live:
        return gone
    texts = lines.where("reason is null")
    if live == good:
        return (
            texts.withColumn("is_deleted", F.lit(False))
            .withColumnRenamed("text", "resource")
            .select(*columns)
            .unionByName(gone)
        )
    winning = won.where("place is not null")
    found = texts.select(*PLACE, F.col("text").alias("resource")).join(
        F.broadcast(winning) if live <= FEW else winning, list(PLACE)
    )
    return found.select(*columns).unionByName(gone)


def _grouped(held: DataFrame, claims: DataFrame, listed: DataFrame | None, plan: Reconciliation) -> DataFrame:
    """By key the greatest ``claim``, the row ``held``, and whether what decides the type has it ``listed``."""
    rank = F.struct(*(F.expr(value).alias(name) for name, value in RANK.items()))
    full = plan.full_export(lambda each: F.lit(each.export.id), "string")
    claimed = claims.select(
        *KEY,
        F.struct(rank.alias("rank"), "content", *FIELDS, *PLACE).alias("claim"),
        (~F.col("is_deleted") & (F.col("export_id") == full)).alias("listed"),
    )
    rows = claimed.unionByName(
        held.select(*KEY, F.struct(rank.alias("rank"), "source", "changed_at").alias("held")),
        allowMissingColumns=True,
    )
    if listed is not None:
        rows = rows.unionByName(listed.select(*KEY, F.lit(True).alias("listed")), allowMissingColumns=True)
    # Structs are aggregated by sorting, so the rows are sorted once, where they are brought together, and by
    # what tells them apart in its first bytes.
    found = rows.repartition(*KEY).groupBy(*reversed(KEY))
    return found.agg(*(F.max(name).alias(name) for name in ("claim", "held", "listed")))


def _disproved(held: Column, there: Column, submitted: Column, plan: Reconciliation) -> Column:
    """Is the row a tombstone for absence that is older than a new full export which holds the resource?

    A tombstone counts from when its export or listing was made, a resource from its last version: so what a
    lagging index left out of a listing would stay deleted until it is written again.
    """
    proves = plan.full_export(lambda each: F.lit(each.new and not each.export.listing), "boolean")
    disproved = held["source"].isin(*ABSENCES) & there & proves & (held["changed_at"] < submitted)
    return F.coalesce(disproved, F.lit(False))
