"""A round of life at both sources: who comes, what is amended, what is deleted. Planned as plain data first,
from what the sources hold, so that the same seed over the same sources plans the same round."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from local.sample.items import (
    REGISTRY,
    SITE_ACTIVITY,
    Item,
    TableItem,
    address,
    encounter_start,
    items_of_patients,
    reading,
)
from local.sample.population import Population, Resource, patients_of


@dataclass(frozen=True)
class FhirDelete:
    resource_type: str
    id: str


@dataclass(frozen=True)
class ItemDelete:
    table: str
    key: Item


@dataclass
class Round:
    """One round of changes: resources to write and to delete, items to put and to delete."""

    resources: list[Resource] = field(default_factory=list)
    deleted_resources: list[FhirDelete] = field(default_factory=list)
    items: list[TableItem] = field(default_factory=list)
    deleted_items: list[ItemDelete] = field(default_factory=list)
    newcomers: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """What the round does, for people: ``{"Condition written": 5, …}``."""
        counts: Counter[str] = Counter()
        counts.update(f"{each['resourceType']} written" for each in self.resources)
        counts.update(f"{each.resource_type} deleted" for each in self.deleted_resources)
        counts.update(f"{each.table} item put" for each in self.items)
        counts.update(f"{each.table} item deleted" for each in self.deleted_items)
        return dict(sorted(counts.items()))


@dataclass(frozen=True)
class Sources:
    """What both sources hold now: FHIR resources by type and id, items by table."""

    resources: Mapping[str, Mapping[str, Resource]]
    items: Mapping[str, Sequence[Item]]

    def of_type(self, resource_type: str) -> list[Resource]:
        """Resources of a type, by id, so that a seed picks the same ones every time."""
        return [
            self.resources.get(resource_type, {})[id_]
            for id_ in sorted(self.resources.get(resource_type, {}))
        ]

    def all_resources(self) -> Iterator[Resource]:
        for resource_type in sorted(self.resources):
            yield from self.of_type(resource_type)


def plan_round(population: Population, sources: Sources, seed: int, size: int = 5) -> Round:
    """A round of about ``size`` changes of each kind.

    Parameters
    ----------
    population : where newcomers come from: its patients that ``sources`` do not hold
    size : how many patients are amended, come, move, ...; one patient is deleted with all their record
    """
    random_ = random.Random(f"round/{seed}")
    plan = Round()
    leaver = _delete_one_patient(random_, sources, plan)
    gone = {(each.resource_type, each.id) for each in plan.deleted_resources}
    staying = [each for each in sources.of_type("Patient") if each["id"] != leaver]
    _amend_patients(random_, staying, plan, size)
    _resolve_conditions(random_, [c for c in sources.of_type("Condition") if _key(c) not in gone], plan, size)
    observations = [each for each in sources.of_type("Observation") if _key(each) not in gone]
    for observation in _some(random_, observations, size):
        plan.deleted_resources.append(FhirDelete("Observation", observation["id"]))
    encounters = [each for each in sources.of_type("Encounter") if _key(each) not in gone]
    _add_encounters(random_, encounters, plan, size, seed)
    _admit_newcomers(population, sources, plan, size, seed)
    _change_items(random_, sources, plan, size, leaver)
    return plan


def _key(resource: Resource) -> tuple[str, str]:
    return resource["resourceType"], resource["id"]


def _some(random_: random.Random, choices: Sequence[Any], size: int) -> list[Any]:
    return random_.sample(list(choices), min(size, len(choices)))


def _delete_one_patient(random_: random.Random, sources: Sources, plan: Round) -> str | None:
    """One patient leaves with all that concerns them alone, in an order that keeps references whole."""
    patients = sources.of_type("Patient")
    if len(patients) < 2:
        return None
    leaver = str(random_.choice(patients)["id"])
    theirs = [each for each in sources.all_resources() if patients_of(each) == {leaver}]
    theirs.sort(key=lambda each: each["resourceType"] == "Patient")
    plan.deleted_resources += [FhirDelete(*_key(each)) for each in theirs]
    for table in sorted(sources.items):
        for item in sources.items[table]:
            if leaver in (item.get("id"), item.get("patientId")):
                plan.deleted_items.append(ItemDelete(table, _item_key(table, item)))
    return leaver


def _item_key(table: str, item: Item) -> Item:
    names = ("id", "sk") if table == REGISTRY else ("siteId", "createdAtTime")
    return {name: item[name] for name in names}


def _amend_patients(random_: random.Random, patients: Sequence[Resource], plan: Round, size: int) -> None:
    for patient in _some(random_, patients, size):
        amended = copy.deepcopy(patient)
        amended["telecom"] = [
            {"system": "phone", "use": "mobile", "value": f"555-01{random_.randint(0, 99):02d}"}
        ]
        amended["active"] = random_.random() < 0.8
        plan.resources.append(amended)


def _resolve_conditions(
    random_: random.Random, conditions: Sequence[Resource], plan: Round, size: int
) -> None:
    for condition in _some(random_, conditions, size):
        resolved = copy.deepcopy(condition)
        system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
        resolved["clinicalStatus"] = {
            "coding": [{"system": system, "code": "resolved", "display": "Resolved"}]
        }
        plan.resources.append(resolved)


def _add_encounters(
    random_: random.Random, encounters: Sequence[Resource], plan: Round, size: int, seed: int
) -> None:
    """Follow-up visits, a month after an earlier one, each with a reading of the site."""
    for number, earlier in enumerate(_some(random_, encounters, size)):
        start = encounter_start(earlier)
        if start is None:
            continue
        again = start + timedelta(days=30)
        visit = copy.deepcopy(earlier)
        visit["id"] = f"followup-{seed}-{number}-{earlier['id']}"[:64]
        visit["period"] = {
            "start": again.isoformat().replace("+00:00", "Z"),
            "end": (again + timedelta(minutes=20)).isoformat().replace("+00:00", "Z"),
        }
        plan.resources.append(visit)
        patient = str(visit.get("subject", {}).get("reference", "")).removeprefix("Patient/")
        plan.items.append(reading(random_, again + timedelta(hours=1), patient or None))


def _admit_newcomers(population: Population, sources: Sources, plan: Round, size: int, seed: int) -> None:
    known = set(sources.resources.get("Patient", {})) | {
        each.id for each in plan.deleted_resources if each.resource_type == "Patient"
    }
    newcomers = [each for each in reversed(population.patient_ids) if each not in known][:size]
    plan.newcomers = tuple(newcomers)
    if newcomers:
        plan.resources += population.of_patients(frozenset(newcomers), shared=False)
        plan.items += items_of_patients(population, newcomers, seed)


def _change_items(
    random_: random.Random, sources: Sources, plan: Round, size: int, leaver: str | None
) -> None:
    registry = sorted(sources.items.get(REGISTRY, ()), key=lambda each: (each["id"], each["sk"]))
    registry = [each for each in registry if each["id"] != leaver]
    enrolled = [each for each in registry if each["sk"] == "PATIENT"]
    withdrawn = _some(random_, enrolled, 1)
    for item in withdrawn:
        plan.deleted_items.append(ItemDelete(REGISTRY, _item_key(REGISTRY, item)))
    for item in _some(random_, [each for each in enrolled if each not in withdrawn], size):
        scored = {**item, "enrolmentStatus": random_.choice(("active", "paused"))}
        plan.items.append(TableItem(REGISTRY, scored))
    _move(random_, registry, plan, size)
    readings = sorted(
        (each for each in sources.items.get(SITE_ACTIVITY, ()) if each.get("patientId") != leaver),
        key=lambda each: (each["siteId"], each["createdAtTime"]),
    )
    for item in _some(random_, readings, size):
        plan.deleted_items.append(ItemDelete(SITE_ACTIVITY, _item_key(SITE_ACTIVITY, item)))


def _move(random_: random.Random, registry: Iterable[Item], plan: Round, size: int) -> None:
    """Some patients move: the old address is kept as a former one."""
    current = [each for each in registry if each.get("isCurrent") is True]
    for item in _some(random_, current, size):
        plan.items.append(TableItem(REGISTRY, {**item, "isCurrent": False}))
        number = int(str(item["sk"]).rpartition("#")[2]) + 1
        plan.items.append(address(random_, item["id"], number, current=True))
