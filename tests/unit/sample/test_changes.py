"""A round of changes: planned from what the sources hold, the same for the same seed, and whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.sample.changes import Sources, plan_round
from local.sample.items import Item, items_of_patients
from local.sample.population import Population, Resource, patients_of


@pytest.fixture
def population(tmp_path: Path) -> Population:
    """Twelve patients with an encounter and an observation each, and a practitioner."""
    ids = [f"p{number:02d}" for number in range(12)]
    subject = [{"reference": f"Patient/{each}"} for each in ids]
    period = {"start": "2026-02-01T10:00:00Z", "end": "2026-02-01T10:20:00Z"}
    files: dict[str, list[Resource]] = {
        "Patient": [{"resourceType": "Patient", "id": each} for each in ids],
        "Practitioner": [{"resourceType": "Practitioner", "id": "dr"}],
        "Encounter": [
            {"resourceType": "Encounter", "id": f"e-{each}", "subject": ref, "period": period}
            for each, ref in zip(ids, subject, strict=True)
        ],
        "Observation": [
            {"resourceType": "Observation", "id": f"o-{each}", "subject": ref}
            for each, ref in zip(ids, subject, strict=True)
        ],
    }
    for name, resources in files.items():
        (tmp_path / f"{name}.ndjson").write_text("".join(json.dumps(each) + "\n" for each in resources))
    return Population(tmp_path)


@pytest.fixture
def sources(population: Population) -> Sources:
    """The first eight patients, seeded."""
    seeded = frozenset(population.patient_ids[:8])
    resources: dict[str, dict[str, Resource]] = {}
    for resource in population.of_patients(seeded, shared=True):
        resources.setdefault(resource["resourceType"], {})[resource["id"]] = resource
    items: dict[str, list[Item]] = {}
    for each in items_of_patients(population, seeded, seed=1):
        items.setdefault(each.table, []).append(each.item)
    return Sources(resources, items)


def test_the_same_seed_plans_the_same_round(population: Population, sources: Sources) -> None:
    assert plan_round(population, sources, seed=3, size=2) == plan_round(population, sources, seed=3, size=2)
    assert plan_round(population, sources, seed=3, size=2) != plan_round(population, sources, seed=4, size=2)


def test_a_patient_leaves_with_all_that_is_theirs_alone(population: Population, sources: Sources) -> None:
    plan = plan_round(population, sources, seed=3, size=2)
    [leaver] = [each.id for each in plan.deleted_resources if each.resource_type == "Patient"]
    deleted = {(each.resource_type, each.id) for each in plan.deleted_resources}
    assert {("Encounter", f"e-{leaver}"), ("Observation", f"o-{leaver}")} <= deleted
    assert not any(leaver in patients_of(each) for each in plan.resources)
    assert any(each.key.get("id") == leaver for each in plan.deleted_items)


def test_nothing_is_both_written_and_deleted(population: Population, sources: Sources) -> None:
    plan = plan_round(population, sources, seed=5, size=4)
    written = {(each["resourceType"], each["id"]) for each in plan.resources}
    assert written.isdisjoint((each.resource_type, each.id) for each in plan.deleted_resources)


def test_newcomers_come_with_their_record_and_items(population: Population, sources: Sources) -> None:
    plan = plan_round(population, sources, seed=3, size=2)
    assert len(plan.newcomers) == 2
    assert not set(plan.newcomers) & set(sources.resources["Patient"])
    for newcomer in plan.newcomers:
        types = {each["resourceType"] for each in plan.resources if newcomer in patients_of(each)}
        assert types == {"Patient", "Encounter", "Observation"}
        assert any(each.item.get("id") == newcomer for each in plan.items)
