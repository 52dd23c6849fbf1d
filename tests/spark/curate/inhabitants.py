"""The sample population in a small world: whose identifiers must be in no byte of the twin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from local.sample.changes import Sources
from local.sample.items import Item, items_of_patients
from local.sample.population import Resource, generate_population
from schemas import ItemType
from tests.spark.curate.world import World

PATIENTS, SEED = 10, 7


def settle(world: World, cache: Path) -> Sources:
    """Put some patients, all that concerns them, and their items, into the world; what there was to put."""
    population = generate_population(PATIENTS, SEED, cache)
    ids = frozenset(population.patient_ids[:PATIENTS])
    resources: dict[str, dict[str, Resource]] = defaultdict(dict)
    for each in population.of_patients(ids, shared=True):
        resources[each["resourceType"]][each["id"]] = each
        world.put(each)
    items: dict[str, list[Item]] = defaultdict(list)
    for of_table in items_of_patients(population, ids, SEED):
        items[of_table.table].append(of_table.item)
        for name, item_type in world.types.items():
            if item_type.table_name == of_table.table and item_type.matches(of_table.item):
                world.put_item(name, **dict(_columns(item_type, of_table.item)))
    return Sources(resources, items)


def _columns(item_type: ItemType, item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for each in item_type.columns:
        if each.name in item:
            yield each.column, _typed(each.type, item[each.name])


def _typed(kind: str, value: Any) -> Any:
    match kind:
        case "timestamp":
            return datetime.fromisoformat(value)
        case "timestamp_millis":
            return datetime.fromtimestamp(int(value) / 1000, UTC)
        case "date":
            return date.fromisoformat(value)
        case "string_set":
            return sorted(value)
    return value
