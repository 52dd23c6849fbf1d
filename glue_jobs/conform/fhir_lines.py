"""Lines of landed FHIR files, parsed in Spark's own expressions: who the resource is, or why it is none.

The resource itself stays the text that was received.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from glue_jobs.lake.tables import few_rows

# A line is parsed as the first member of an array that ends with a member of ours: an object that is cut
# short, has something after it, or is two, is then not a well-formed array of two.
_END = "_end"
BLANK = "blank"
"""The reason of an empty line, which is nothing and no fault."""
_SCHEMA = (
    "array<struct<resourceType: string, id: string, meta: struct<versionId: string, lastUpdated: string>>>"
)
INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.]\d+)?(Z|[+-]\d\d:\d\d)$"
_ID = r"^[A-Za-z0-9.-]{1,64}$"

_BUNDLE = (
    "array<struct<resourceType: string, entry: array<struct<request: struct<method: string, url: string>>>>>"
)
_REFERENCE = r"^([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})$"


@dataclass(frozen=True)
class LineFile:
    """A landed file, and what it says of all of its lines.

    Attributes
    ----------
    key : below the landing zone's root
    type : the resource type that its lines are to be of
    changed_at : for what does not say itself when it was true; None: not known
    """

    key: str
    type: str
    export_id: str | None
    changed_at: datetime | None


_SAID = StructType(
    [
        StructField("_path", StringType()),
        StructField("object_key", StringType()),
        StructField("export_id", StringType()),
        StructField("changed_at", TimestampType()),
        StructField("declared", StringType()),
    ]
)


def read_lines(spark: SparkSession, landing_uri: str, files: Iterable[LineFile]) -> DataFrame:
    """A row per line, empty ones too: ``text``, ``object_key``, ``export_id``, ``changed_at``, ``declared``,
    ``place``, ``block``.

    ``declared`` is the file's type, ``place`` grows from line to line of a block, ``block`` is the byte at which
    the block begins.
    """
    known = {file.key: file for file in files}
    lines = spark.read.text([landing_uri + key for key in known])
    # What the file says is worked out once and looked up: to take its name apart for every line costs as much
    # as to parse the line.
    root = len(urlsplit(landing_uri).path)
    found = [(path, known[unquote(urlsplit(path).path)[root:]]) for path in lines.inputFiles()]
    rows = [(path, file.key, file.export_id, file.changed_at, file.type) for path, file in found]
    said = few_rows(spark, rows, _SAID)
    told = lines.select(
        F.col("value").alias("text"),
        F.col("_metadata.file_path").alias("_path"),
        F.monotonically_increasing_id().alias("place"),
        F.col("_metadata.file_block_start").alias("block"),
    ).join(F.broadcast(said), "_path", "left")
    # A line must not get lost, least of all of a list by which others are deleted.
    key = F.coalesce(
        "object_key", F.raise_error(F.lit("Spark read a file that it did not list")).cast("string")
    )
    return told.select(
        "text", key.alias("object_key"), "export_id", "changed_at", "declared", "place", "block"
    )


def parse_resources(lines: DataFrame) -> DataFrame:
    """``read_lines`` plus ``resource_type``, ``id``, ``version_id``, ``last_updated`` and ``reason``.

    ``reason`` is null for a resource and says in one word what a line has against it. A resource without
    version or time is one; a file of one type that holds another is wrong, for a full export of the one
    type says nothing about the other.
    """
    parsed = _parsed(lines, _SCHEMA)
    resource = F.col("_parsed")[0]
    stamp = resource["meta"]["lastUpdated"]
    last_updated = F.when(stamp.rlike(INSTANT), F.expr("try_cast(_parsed[0].meta.lastUpdated as timestamp)"))
    reason = _first(
        (F.trim("text") == "", BLANK),
        (_not_utf8(), "not_utf8"),
        (_malformed(), "not_json"),
        (~F.coalesce(resource["id"].rlike(_ID), F.lit(False)), "no_id"),
        (F.coalesce(resource["resourceType"], F.lit("")) != F.col("declared"), "other_type"),
        (stamp.isNotNull() & last_updated.isNull(), "bad_last_updated"),
    )
    return parsed.select(
        *_kept(lines),
        resource["resourceType"].alias("resource_type"),
        resource["id"].alias("id"),
        resource["meta"]["versionId"].alias("version_id"),
        last_updated.alias("last_updated"),
        reason.alias("reason"),
    )


def parse_deletions(lines: DataFrame) -> DataFrame:
    """``read_lines`` of ``deleted`` files, a row per deletion: plus ``resource_type``, ``id``, ``reason``.

    A line is a Bundle whose entries are requests ``DELETE Type/id``. A line that is none is one row with a
    reason; so is an entry that is none.
    """
    parsed = _parsed(lines, _BUNDLE)
    bundle = F.col("_parsed")[0]
    unusable = _first(
        (F.trim("text") == "", BLANK),
        (_not_utf8(), "not_utf8"),
        (_malformed(), "not_json"),
        (F.coalesce(bundle["resourceType"], F.lit("")) != "Bundle", "not_a_bundle"),
    )
    entries = parsed.select(
        *_kept(lines), unusable.alias("_unusable"), F.explode_outer(bundle["entry"]).alias("_entry")
    )
    url, method = F.col("_entry.request.url"), F.col("_entry.request.method")
    wrong = ~F.coalesce((method == "DELETE") & url.rlike(_REFERENCE), F.lit(False))
    return entries.where("_unusable is not null or _entry is not null").select(
        *_kept(lines),
        F.regexp_extract(url, _REFERENCE, 1).alias("resource_type"),
        F.regexp_extract(url, _REFERENCE, 2).alias("id"),
        F.coalesce("_unusable", F.when(wrong, F.lit("not_a_deletion"))).alias("reason"),
    )


def refused_lines(parsed: DataFrame) -> DataFrame:
    """What ``quarantine`` takes, of parsed rows with a reason, with their line numbers from 1.

    A large file is read in blocks by several tasks, so a line's number is that of its place in its block
    and of the lines in the blocks before. Give it all the rows of the files concerned.
    """
    blocks = parsed.groupBy("object_key", "block").agg(
        F.min("place").alias("_first"), F.countDistinct("place").alias("_lines")
    )
    before = F.expr(
        "coalesce(sum(_lines) over (partition by object_key order by block"
        " rows between unbounded preceding and 1 preceding), 0)"
    )
    refused = parsed.where(f"reason != '{BLANK}'").dropDuplicates(["object_key", "block", "place", "reason"])
    return refused.join(blocks.withColumn("_before", before), ["object_key", "block"]).select(
        "object_key",
        (F.col("_before") + F.col("place") - F.col("_first") + 1).alias("line"),
        "text",
        "reason",
        F.when(
            F.col("id").isNotNull() & (F.col("id") != ""),
            F.sha2(F.concat_ws("\x1f", "resource_type", "id"), 256),
        ).alias("key_hash"),
        F.lit(None).cast("string").alias("detail"),
    )


def _kept(lines: DataFrame) -> list[str]:
    return [name for name in lines.columns if name != "declared"]


def _parsed(lines: DataFrame, schema: str) -> DataFrame:
    closed = F.concat(F.lit("["), F.col("text"), F.lit(f',{{"resourceType":"{_END}"}}]'))
    return lines.withColumn("_parsed", F.from_json(closed, schema, {"mode": "PERMISSIVE"}))


def _malformed() -> Column:
    whole = (F.size("_parsed") == 2) & (F.col("_parsed")[1]["resourceType"] == _END)
    # A pattern takes a copy of the whole text: most begin with what it would look for.
    opened = F.startswith("text", F.lit("{")) | F.col("text").rlike(r"^\s*\{")
    return ~F.coalesce(whole & opened, F.lit(False))


def _not_utf8() -> Column:
    # Decoding puts a mark where bytes are no UTF-8, so the text differs from what it is decoded from.
    return F.expr("text != decode(cast(text as binary), 'UTF-8')")


def _first(*cases: tuple[Column, str]) -> Column:
    chosen = F.lit(None).cast("string")
    for condition, name in reversed(cases):
        chosen = F.when(condition, F.lit(name)).otherwise(chosen)
    return chosen
