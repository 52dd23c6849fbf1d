"""A landing zone of any size, resources and items, and sets of changes to it: made once, then kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from benchmarks.exports_data import FULL, PATIENTS, SEED, Landed, copied_id, land_population, manifest_key
from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex
from lambdas.shared.item_change import Landed as LandedItems
from local.sample.items import REGISTRY, SITE_ACTIVITY, Item, TableItem, items_of_patients
from local.sample.population import generate_population
from schemas.item_type import load_item_types

MB = 1_000_000
FEW, ONE_PERCENT = "few", "one_percent"
"""The sets of changes: as many whatever the size of the lake, and a hundredth of it."""
_KEYS = {REGISTRY: ("id", "sk"), SITE_ACTIVITY: ("siteId", "createdAtTime")}
_BATCH = 10_000
_LANDED = LandedItems(datetime(2026, 7, 1, tzinfo=UTC), "benchmark:1")
_FIRST, _LATER = 1_782_900_000, 1_782_990_000
_SUBMITTED = {
    FULL: "2026-07-01T00:00:00.000Z",
    FEW: "2026-07-02T00:00:00.000Z",
    ONE_PERCENT: "2026-07-03T00:00:00.000Z",
}


@dataclass(frozen=True)
class Stage:
    """What is to land: one folder per set, ``full`` and the changes, each laid out as the landing zone."""

    folder: Path

    def land(self, name: str, landing: Path) -> None:
        """Bring a set into a landing zone, without copying."""
        shutil.copytree(self.folder / name, landing, copy_function=os.link, dirs_exist_ok=True)

    @property
    def size(self) -> int:
        """Bytes of the full set's resources and items, the latter uncompressed."""
        return int(json.loads((self.folder / "size.json").read_text())["bytes"])


def stage(cache: Path, megabytes: int, few_one_in: int) -> Stage:
    """About ``megabytes`` of resources with their items; a change in ``few_one_in`` resources and items."""
    target = cache / f"curate-{megabytes}-{few_one_in}"
    if not target.is_dir():
        work = target.with_suffix(".part")
        shutil.rmtree(work, ignore_errors=True)
        sets = {FEW: few_one_in, ONE_PERCENT: 100}
        size = _stage_resources(work, megabytes * MB, cache, sets)
        (work / "size.json").write_text(json.dumps({"bytes": size}))
        work.rename(target)
    return Stage(target)


def _stage_resources(work: Path, size: int, cache: Path, sets: Mapping[str, int]) -> int:
    every = work / "every"
    landed = land_population(every, size, cache, sets)
    for name, moment in _SUBMITTED.items():
        landed.commit(name, moment)
        for key in [manifest_key(name, moment), *(str(file["key"]) for file in landed.files[name])]:
            _move(every / key, work / name / key)
    shutil.rmtree(every)
    return landed.bytes + _stage_items(work, landed, cache, sets)


def _stage_items(work: Path, landed: Landed, cache: Path, sets: Mapping[str, int]) -> int:
    """The items of every copy's patients, each an insert; of some, changed, a modification beside it."""
    items = list(_items(landed, cache))
    size = _land(work / FULL, (_record(number, each, None) for number, each in enumerate(items)))
    for place, (name, one_in) in enumerate(sets.items(), 1):
        changed = ((place * len(items) + n, each) for n, each in enumerate(items) if n % one_in == 0)
        _land(work / name, (_record(number, _amended(each), each) for number, each in changed))
    return size


def _items(landed: Landed, cache: Path) -> Iterator[TableItem]:
    population = generate_population(PATIENTS, SEED, cache)
    for copy, patients in enumerate(landed.copies):
        for each in items_of_patients(population, patients, SEED + copy):
            # Of the registry the patient is `id`, of the sites `patientId`.
            name = "id" if each.table == REGISTRY else "patientId"
            yield TableItem(each.table, {**each.item, name: copied_id(each.item[name], copy)})


def _amended(each: TableItem) -> TableItem:
    name = "note" if each.table == REGISTRY else "valueTwo"
    return TableItem(each.table, {**each.item, name: "amended" if name == "note" else each.item[name] + 1})


def _record(number: int, each: TableItem, old: TableItem | None) -> dict[str, Any]:
    """A stream record as Lambda passes it."""
    new = _wire(each.item)
    change = {
        "ApproximateCreationDateTime": _FIRST if old is None else _LATER,
        "Keys": {name: new[name] for name in _KEYS[each.table]},
        "NewImage": new,
        **({} if old is None else {"OldImage": _wire(old.item)}),
        "SequenceNumber": str(10**20 + number),
    }
    return {
        "eventID": f"{number:032x}",
        "eventName": "INSERT" if old is None else "MODIFY",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{each.table}/stream/1",
        "dynamodb": change,
    }


def _wire(item: Item) -> dict[str, Any]:
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in item.items()}


def _land(folder: Path, records: Iterable[dict[str, Any]]) -> int:
    """Write what the function that lands items would; bytes of the lines."""
    index, waiting, size = ItemTypeIndex(load_item_types().values()), iter(records), 0
    while batch := list(islice(waiting, _BATCH)):
        for each in plan_batch(batch, index, _LANDED).objects:
            path = folder / each.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(each.body())
            size += sum(map(len, each.lines))
    return size


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
