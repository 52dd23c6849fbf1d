"""What the sample adds to the generated population: it refers to what is there, and its sums are right."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.sample.companions import Record, companions, write_companions
from local.sample.population import patients_of
from schemas.view import load_views

Resource = dict[str, Any]


def _generated(patient: str) -> list[Resource]:
    subject = {"reference": f"Patient/{patient}"}
    encounters = [
        {
            "resourceType": "Encounter",
            "id": f"{patient}-enc-{month}",
            "subject": subject,
            "period": {"start": f"2026-0{month}-05T10:00:00Z", "end": f"2026-0{month}-05T11:00:00Z"},
            "participant": [{"individual": {"reference": "Practitioner/dr"}}],
        }
        for month in range(1, 8)
    ]
    return [
        {"resourceType": "Patient", "id": patient},
        *encounters,
        {
            "resourceType": "Condition",
            "id": f"{patient}-cond",
            "subject": subject,
            "clinicalStatus": {"coding": [{"code": "active"}]},
        },
        {
            "resourceType": "MedicationRequest",
            "id": f"{patient}-mr",
            "subject": subject,
            "encounter": {"reference": f"Encounter/{patient}-enc-1"},
            "medicationCodeableConcept": {"text": "Atorvastatin"},
            "authoredOn": "2026-01-05",
        },
        {
            "resourceType": "Coverage",
            "id": f"{patient}-cov",
            "beneficiary": subject,
            "payor": [{"reference": "Organization/payer"}],
        },
        {
            "resourceType": "CareTeam",
            "id": f"{patient}-team",
            "subject": subject,
            "encounter": {"reference": f"Encounter/{patient}-enc-7"},
        },
    ]


@pytest.fixture
def population(tmp_path: Path) -> Path:
    shared = [
        {"resourceType": "Practitioner", "id": "dr"},
        *({"resourceType": "Organization", "id": id_} for id_ in ("hospital-main", "payer")),
    ]
    for resource in (*shared, *_generated("p1"), *_generated("p2"), {"resourceType": "Patient", "id": "p3"}):
        with (tmp_path / f"{resource['resourceType']}.ndjson").open("a") as file:
            file.write(json.dumps(resource) + "\n")
    return tmp_path


def _all(folder: Path) -> list[Resource]:
    return [json.loads(line) for file in folder.glob("*.ndjson") for line in file.read_text().splitlines()]


def test_every_reference_is_to_a_resource_of_the_same_patient_or_of_none(population: Path) -> None:
    write_companions(population)
    resources = _all(population)
    keys = Counter(f"{each['resourceType']}/{each['id']}" for each in resources)
    assert max(keys.values()) == 1
    for resource in resources:
        assert set(re.findall(r'"reference": "([^"]+)"', json.dumps(resource))) <= keys.keys()
        assert len(patients_of(resource)) <= 1


def test_each_further_type_of_a_view_gets_resources(population: Path) -> None:
    before = {file.stem for file in population.glob("*.ndjson")}
    write_companions(population)
    added = {file.stem for file in population.glob("*.ndjson")} - before
    assert added <= {view.resource for view in load_views().values()}
    assert added == {
        *("CarePlan", "Claim", "ExplanationOfBenefit", "Goal", "Medication"),
        *("MedicationDispense", "MedicationStatement", "QuestionnaireResponse"),
    }


def test_a_patient_s_resources_depend_on_no_other_and_are_none_without_an_encounter() -> None:
    record = Record("p1")
    for resource in _generated("p1"):
        record.resources.setdefault(resource["resourceType"], []).append(resource)
    assert list(companions(record)) == list(companions(record))
    assert not list(companions(Record("p3", {"Patient": [{"resourceType": "Patient", "id": "p3"}]})))


def test_amounts_of_claims_and_benefits_add_up(population: Path) -> None:
    write_companions(population)
    resources = _all(population)
    claims = {each["id"]: each for each in resources if each["resourceType"] == "Claim"}
    benefits = [each for each in resources if each["resourceType"] == "ExplanationOfBenefit"]
    assert len(claims) == len(benefits) == 6
    for benefit in benefits:
        claim = claims[benefit["claim"]["reference"].removeprefix("Claim/")]
        assert _sum(line["net"] for line in claim["item"]) == _sum([claim["total"]])
        paid = [
            part["amount"]
            for line in benefit["item"]
            for part in line["adjudication"]
            if part["category"]["coding"][0]["code"] == "benefit"
        ]
        assert _sum(paid) == _sum([benefit["payment"]["amount"]]) < _sum([claim["total"]])


def _sum(amounts: Any) -> Decimal:
    return sum((Decimal(str(each["value"])) for each in amounts), Decimal())
