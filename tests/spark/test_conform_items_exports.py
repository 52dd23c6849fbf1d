"""Exports and the stream make one history: Spark's tables against the rule in plain Python, and the truth."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from glue_jobs.conform.item_coverage import Coverage, coverage_key
from lambdas.shared.exported_item import Export, TableTypes, exported_item
from lambdas.shared.landing_object import Entry, landing_objects
from schemas.item_type import ItemType
from tests.conftest import LANDING_BUCKET, examples
from tests.spark.landed_items import LANDED, Lake, declare, stream_record
from tests.unit.items.export_rule import AnExport, Change, Shown, Version, World, a_world, versions

pytestmark = pytest.mark.spark
_numbers = itertools.count()
KINDS = ("Red", "Blue")
Row = tuple[str, str, str, int | None, float, float | None, bool]
"""Item, name and event of a version, its content, from when, until when, and whether it is current."""


def kind(content: int) -> str:
    return KINDS[content % 2]


def image(content: int) -> dict[str, Any]:
    return {"kind": {"S": kind(content)}, "v": {"N": str(content)}}


def key(item: str) -> dict[str, Any]:
    return {"id": {"S": item}}


def stream_records(world: World, table_name: str) -> list[dict[str, Any]]:
    """What the stream tells, with old images, without what was lost."""
    records = []
    for item, changes in world.changes.items():
        former: int | None = None
        for each in changes:
            if each.known:
                records.append(
                    stream_record(
                        table_name,
                        each.number,
                        key(item),
                        None if each.content is None else image(each.content),
                        None if former is None else image(former),
                        at=each.told_at,
                    )
                )
            former = each.content
    return records


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def lines(world: World, export: AnExport) -> list[dict[str, Any]]:
    """The export as DynamoDB writes it."""
    found = []
    for item, changes in world.changes.items():
        shown = world.shown(export, item)
        if shown is None:
            continue
        new = None if shown.content is None else {**key(item), **image(int(shown.content))}
        if export.since is None:
            found.append({"Item": new})
            continue
        before = [each.content for each in changes if each.at < export.since]
        line: dict[str, Any] = {
            "Metadata": {"WriteTimestampMicros": {"N": str(round(shown.at * 1e6))}},
            "Keys": key(item),
        }
        if new is not None:
            line["NewImage"] = new
        if before and before[-1] is not None:
            line["OldImage"] = {**key(item), **image(before[-1])}
        found.append(line)
    return found


def land_export(lake: Lake, export: AnExport, exported: Sequence[Mapping[str, Any]], name: str) -> None:
    """Lines, then the word that they are complete, as ``local.item_exports`` lands them."""
    table_name = lake.item_types[0].table_name
    types = TableTypes.of(table_name, lake.item_types)
    assert types is not None
    since = None if export.since is None else moment(export.since)
    shown = Export(name, table_name, moment(export.shown_at), since)
    entries = [
        Entry(each.partition, each.line, number, f"{name}/{number}", "")
        for number, line in enumerate(exported)
        for each in exported_item(line, shown, types, LANDED)
    ]
    for landed in landing_objects(entries):
        lake.write(landed.key, landed.body())
    coverage = Coverage(shown.event_id, shown.shown_at, shown.since, complete=True)
    lake.write(coverage_key(table_name, name), coverage.to_json().encode())


def of_kind(world: World, item: str, wanted: str) -> tuple[list[Change], dict[AnExport, Shown | None]]:
    """An item's changes and what exports show of it, as the tables of one type come to know them."""

    def own(content: int | None) -> int | None:
        return content if content is not None and kind(content) == wanted else None

    changes = []
    former: int | None = None
    for each in world.changes[item]:
        if each.known and (own(each.content) is not None or own(former) is not None):
            changes.append(Change(each.number, each.at, own(each.content)))
        former = each.content
    exports: dict[AnExport, Shown | None] = {}
    for export in world.exports:
        shown = world.shown(export, item)
        before = [each.content for each in world.changes[item] if each.at < (export.since or 0)]
        concerns = shown is not None and (
            own(shown.content if not isinstance(shown.content, str) else None) is not None
            or (export.since is not None and own(before[-1] if before else None) is not None)
        )
        exports[export] = (
            Shown(shown.at, own(shown.content))  # type: ignore[arg-type]
            if shown is not None and concerns
            else None
        )
    return changes, exports


def expected(world: World, wanted: str) -> set[Row]:
    found = set()
    for item in world.changes:
        for each in versions(*of_kind(world, item, wanted)):
            found.add((item, *_as_tuple(each)))
    return found


def _as_tuple(row: Version) -> tuple[str, str, int | None, float, float | None, bool]:
    ends = None if row.ends is None else round(row.ends, 5)
    return row.name, row.event, row.content, round(row.begins, 5), ends, row.is_current


def found(lake: Lake, item_type: ItemType) -> set[Row]:
    rows = set()
    for row in lake.rows(item_type, "_history"):
        name = row["_sequence_number"] or row["_event_id"].replace("export/", "").partition("@")[0]
        event = "CHANGE" if row["_event_name"] in ("INSERT", "MODIFY") else row["_event_name"]
        until = row["_valid_to"]
        rows.add(
            (
                row["id"], name, event, row["v"], _seconds(row["_valid_from"]), until and _seconds(until),
                row["_is_current"],
            )
        )  # fmt: skip
    return rows


def _seconds(text: str) -> float:
    return round(datetime.fromisoformat(text + "+00:00").timestamp(), 5)


def new_lake(spark: SparkSession, mirror: Path, landing_uri: str, folder: Path) -> Lake:
    number = next(_numbers)
    types = [
        declare(
            folder,
            f"{each}Exported{number}",
            f"table-exports-{number}",
            match={"kind": each},
            keys={"id": "string"},
            attributes={"kind": "string", "v": "long"},
        )
        for each in KINDS
    ]
    return Lake(spark, mirror / LANDING_BUCKET, landing_uri, types, f"conform_exports_{number}")


@pytest.mark.parametrize("seed", range(3, 3 + examples(1)))
def test_any_order_of_stream_and_exports_gives_the_same_tables(
    spark: SparkSession, mirror: Path, landing_uri: str, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    world = a_world(dice, items=120)
    lake = new_lake(spark, mirror, landing_uri, tmp_path)
    records = stream_records(world, lake.item_types[0].table_name)
    deliveries = records + dice.choices(records, k=len(records) // 3)
    dice.shuffle(deliveries)
    # The exports land in any order, and between any runs.
    exported = [(dice.randrange(3), each) for each in world.exports]
    for run in range(3):
        lake.land(deliveries[run::3])
        for at, export in exported:
            if at == run:
                land_export(lake, export, lines(world, export), export.name)
        lake.conform()

    for item_type, wanted in zip(lake.item_types, KINDS, strict=True):
        assert found(lake, item_type) == expected(world, wanted)
        final = {
            (item, content)
            for item in world.changes
            if (content := world.final(item)) is not None and kind(content) == wanted
        }
        assert {(row["id"], row["v"]) for row in lake.rows(item_type)} == final
        assert final
    assert not any(run.quarantined for run in lake.runs)


def test_a_refused_item_stays_as_it_was_until_its_line_can_be_read(
    spark: SparkSession, mirror: Path, landing_uri: str, tmp_path: Path
) -> None:
    """It is in the export, so it is not absent; what it is cannot be told."""
    lake = new_lake(spark, mirror, landing_uri, tmp_path)
    red, table_name = lake.item_types[0], lake.item_types[0].table_name
    lake.land([stream_record(table_name, n, key(n_), image(2)) for n, n_ in ((1, "kept"), (2, "gone"))])
    export = AnExport("full", 1_772_009_000.5)
    wrong = {"Item": {**key("kept"), "kind": {"S": "Red"}, "v": {"S": "two"}}}
    land_export(lake, export, [wrong], "full")
    run = lake.conform()
    assert run.quarantined == {"wrong_type": 1}
    (row,) = lake.rows(red)
    assert (row["id"], row["v"], row["_sequence_number"]) == ("kept", 2, "1")
    events = {(each["id"], each["_event_name"]) for each in lake.rows(red, "_history")}
    assert events == {("kept", "INSERT"), ("kept", "REFUSED"), ("gone", "INSERT"), ("gone", "REMOVE")}


def test_an_export_that_has_not_landed_whole_removes_nothing(
    spark: SparkSession, mirror: Path, landing_uri: str, tmp_path: Path
) -> None:
    lake = new_lake(spark, mirror, landing_uri, tmp_path)
    red, table_name = lake.item_types[0], lake.item_types[0].table_name
    lake.land([stream_record(table_name, 1, key("a"), image(2))])
    export = AnExport("full", 1_772_009_000.5)
    land_export(lake, export, [{"Item": {**key("b"), **image(4)}}], "full")
    whole = lake.landing / coverage_key(table_name, "full")
    complete = whole.read_text()
    whole.write_text(json.dumps({**json.loads(complete), "complete": False}))
    lake.conform()
    assert {row["id"] for row in lake.rows(red)} == {"a", "b"}
    whole.write_text(complete)
    lake.conform()
    assert {row["id"] for row in lake.rows(red)} == {"b"}
