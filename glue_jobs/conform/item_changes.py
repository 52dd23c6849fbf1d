"""Landed lines of one item type to typed changes, and the lines that cannot be: pure DataFrame to DataFrame.

Every step is a native Spark expression. A line that is not an envelope, and a change whose attributes do
not have their declared types, carry a ``reason``; all others are rows of the conformed tables.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.exact_json import READ_OPTIONS, content, quote, tag, untag_value
from glue_jobs.conform.item_values import tagged_kind, value_rule
from glue_jobs.lake.tables import quoted
from schemas import Attribute, ItemType

REMOVED = "REMOVE"
BACKFILL = "BACKFILL"
REFUSED = "REFUSED"
"""Event of an exported item whose attributes do not have their types: it was there, and no more is known."""
_EXPORT_EVENT = "^sexport/[^@]+@[0-9-]{10}T[0-9:.]{8,15}Z$"
_ENVELOPE = (
    "array<struct<sevent_id: string, sevent_name: string, ssequence_number: string, schanged_at: string,"
    " skeys: map<string, string>, snew_image: map<string, string>, sexpired: string, slanded_at: string>>"
)


def read_changes(lines: DataFrame, item_type: ItemType) -> DataFrame:
    """Read landed lines.

    Parameters
    ----------
    lines : column ``_text``, one landed line per row, and any further columns, which are carried along;
        all their names begin with ``_``, which those of declared columns do not

    Returns
    -------
    DataFrame
        The columns of ``lines``; ``_reason`` and ``_detail``, null for a good change, and ``_key_hash``;
        the columns of the item type; ``_extra``, ``_sequence_number``, ``_changed_at``, ``_event_id``,
        ``_event_name``, ``_expired``. For a line with a reason only the first are meaningful.
    """
    carried = lines.columns
    parsed = _with_envelope(lines)
    values = _with_values(parsed, item_type)
    judged = _with_verdict(values, item_type)
    typed = [
        F.expr(value_rule(each, f"_v{index}", f"_j{index}").value).alias(each.column)
        for index, each in enumerate(item_type.columns)
    ]
    return judged.select(
        *(F.col(quoted(name)) for name in carried),
        "_reason",
        "_detail",
        F.sha2(F.concat_ws("\x1f", *(F.expr(f"substr(_v{i}, 2)") for i in range(len(item_type.keys)))), 256)
        .alias("_key_hash"),
        *typed,
        _extra(item_type).alias("_extra"),
        content(F.col("_e.ssequence_number")).alias("_sequence_number"),
        F.col("_moment").alias("_changed_at"),
        content(F.col("_e.sevent_id")).alias("_event_id"),
        F.when(F.col("_gone"), REMOVED).otherwise(content(F.col("_e.sevent_name"))).alias("_event_name"),
        (F.col("_e.sexpired") == "true").alias("_expired"),
    )  # fmt: skip


def _with_envelope(lines: DataFrame) -> DataFrame:
    # Parsed inside an array, so that a second value or rubbish after the first makes the line unreadable
    # instead of vanishing.
    wrapped = F.concat(F.lit("["), tag(F.col("_text")), F.lit("]"))
    parsed = lines.withColumn("_a", F.from_json(wrapped, _ENVELOPE, READ_OPTIONS))
    parsed = parsed.withColumn("_e", F.when(F.size("_a") == 1, F.get("_a", F.lit(0))))
    # Streams give every change a time, though the API's model does not promise it; when it landed is then
    # the latest that it can have been made.
    changed_at = F.coalesce("_e.schanged_at", "_e.slanded_at")
    return parsed.withColumn("_moment", F.try_to_timestamp(content(changed_at)))


def _with_values(parsed: DataFrame, item_type: ItemType) -> DataFrame:
    """The tagged value of each declared attribute as ``_v<n>`` (keys first), and ``_gone``.

    A change removes the item from this type's tables if it removed the item, or left it as something that
    does not match the type any more.
    """
    left = [
        ~F.try_element_at("_e.snew_image", F.lit("s" + name)).eqNullSafe(F.lit("s" + value))
        for name, value in item_type.match
    ]
    gone = reduce(lambda a, b: a | b, left, F.col("_e.sevent_name") == "s" + REMOVED)
    columns = [F.coalesce(gone, F.lit(False)).alias("_gone")]
    for index, each in enumerate(item_type.columns):
        source = "_e.skeys" if index < len(item_type.keys) else "_e.snew_image"
        columns.append(F.try_element_at(source, F.lit("s" + each.name)).alias(f"_v{index}"))
    values = parsed.select("*", *columns)
    kept = [
        (index, F.when(~F.col("_gone"), F.col(f"_v{index}")))
        for index in range(len(item_type.keys), len(item_type.columns))
    ]
    values = values.withColumns({f"_v{index}": column for index, column in kept}) if kept else values
    texts = {
        f"_j{index}": untag_value(F.col(f"_v{index}"))
        for index, each in enumerate(item_type.columns)
        if each.type == "json"
    }
    return values.withColumns(texts) if texts else values


def _with_verdict(values: DataFrame, item_type: ItemType) -> DataFrame:
    envelope = (
        F.when(F.col("_a").isNull() | F.col("_e").isNull(), F.lit("not_json"))
        .when(~_is_envelope(), F.lit("not_an_envelope"))
    )  # fmt: skip
    problems = [
        problem
        for index, each in enumerate(item_type.columns)
        for problem in _problems(index, each, index < len(item_type.keys))
    ]
    first = F.filter(F.array(*problems), lambda each: each.isNotNull())
    judged = values.withColumn("_envelope", envelope).withColumn(
        "_problems", F.when(F.col("_envelope").isNull(), first)
    )
    verdict = F.coalesce(F.col("_envelope"), F.get("_problems", F.lit(0))["reason"])
    details = F.transform("_problems", lambda each: each["detail"])
    return judged.withColumn("_reason", verdict).withColumn(
        "_detail", F.when(F.size(details) > 0, F.concat_ws("; ", details))
    )


def _is_envelope() -> Column:
    known = F.col("_e.sevent_name").isin("sINSERT", "sMODIFY", "s" + REMOVED)
    exported = (
        F.col("_e.sevent_name").isin("s" + BACKFILL, "s" + REMOVED)
        & F.col("_e.ssequence_number").isNull()
        & F.col("_e.sevent_id").rlike(_EXPORT_EVENT)
    )
    readable = (
        (exported | (known & F.col("_e.ssequence_number").rlike("^s[0-9]{1,40}$")))
        & F.col("_moment").isNotNull()
        & F.col("_e.skeys").isNotNull()
        & F.startswith(F.col("_e.sevent_id"), F.lit("s"))
    )
    complete = F.col("_e.snew_image").isNotNull() | (F.col("_e.sevent_name") == "s" + REMOVED)
    return F.coalesce(readable & complete, F.lit(False))


def _problems(index: int, attribute: Attribute, is_key: bool) -> list[Column]:
    """What may be wrong with an attribute: each a struct of reason and detail, or null."""
    tagged = f"_v{index}"
    rule = value_rule(attribute, tagged, f"_j{index}")
    what = f"{attribute.name}: declared {attribute.type}"
    missing = f"{tagged} is null" if is_key else f"{tagged} is null and not _gone"
    wrong_kind = f"{tagged} is not null and not ({rule.kind})"
    unfit = f"{tagged} is not null and {rule.kind} and not coalesce({rule.fits}, false)"
    found = [
        _problem("wrong_type", wrong_kind, F.concat(F.lit(f"{what}, is "), F.expr(tagged_kind(tagged)))),
        _problem("unfit_value", unfit, F.lit(f"{what}, cannot hold the value exactly")),
    ]
    if attribute.required:
        found.append(_problem("missing_attribute", missing, F.lit(f"{attribute.name}: required")))
    return found


def _problem(reason: str, condition: str, detail: Column) -> Column:
    return F.when(F.expr(condition), F.struct(F.lit(reason).alias("reason"), detail.alias("detail")))


def _extra(item_type: ItemType) -> Column:
    """The attributes that the type does not declare, as one JSON object sorted by name; null without any."""
    declared = [F.lit("s" + each.name) for each in item_type.columns]
    others = F.map_filter("_e.snew_image", lambda name, _: ~name.isin(*declared))
    members = F.transform(
        F.array_sort(F.map_keys(others)),
        lambda name: F.concat(
            quote(content(name)), F.lit(":"), untag_value(F.try_element_at(others, name))
        ),
    )  # fmt: skip
    text = F.concat(F.lit("{"), F.concat_ws(",", members), F.lit("}"))
    return F.when(~F.col("_gone") & (F.size(others) > 0), text)
