"""What clinosim leaves out, derived from what it generates, so that every curated table has rows: goals and care
plans, medications dispensed and reported, questionnaires answered, claims and what the payer made of them.

A few per patient, by the patient's id alone: a patient's record does not depend on who else is generated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.sample.claims import claim_and_benefit

Resource = dict[str, Any]

_READ = ("Patient", "Encounter", "Condition", "MedicationRequest", "Coverage", "CareTeam")
_MEDICATIONS = (
    ("med-acetaminophen-500", "161", "Acetaminophen", "385055001", "Tablet"),
    ("med-ibuprofen-400", "5640", "Ibuprofen", "385055001", "Tablet"),
    ("med-cetirizine-10", "20610", "Cetirizine", "385055001", "Tablet"),
    ("med-cholecalciferol-25", "2418", "Cholecalciferol", "385049006", "Capsule"),
)
MANUFACTURER = "maker-northwind"
"""Id of the organization that makes what is dispensed."""
_ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_SNOMED = "http://snomed.info/sct"
_LOINC = "http://loinc.org"
_ANSWERS = (
    ("LA6568-5", "Not at all"),
    ("LA6569-3", "Several days"),
    ("LA6570-1", "More than half the days"),
    ("LA6571-9", "Nearly every day"),
)
_CLAIMED = 3
"""Of this many encounters of an insured patient one is claimed."""
_DISPENSED = 4
"""Of this many community prescriptions one was dispensed here."""


@dataclass
class Record:
    """What was generated for one patient, by resource type."""

    patient: str
    resources: dict[str, list[Resource]] = field(default_factory=dict)

    def of(self, resource_type: str) -> list[Resource]:
        return sorted(self.resources.get(resource_type, ()), key=lambda each: str(each["id"]))


def write_companions(folder: Path) -> None:
    """Add the files of the further resource types to a generated population."""
    by_type: dict[str, list[Resource]] = {}
    for resource in (*medications(), *_companions(_records(folder))):
        by_type.setdefault(resource["resourceType"], []).append(resource)
    for resource_type, resources in by_type.items():
        with (folder / f"{resource_type}.ndjson").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(each) + "\n" for each in resources)


def _records(folder: Path) -> Iterable[Record]:
    found: dict[str, Record] = {}
    for resource_type in _READ:
        path = folder / f"{resource_type}.ndjson"
        if not path.is_file():
            continue
        with path.open(encoding="utf-8") as lines:
            for resource in map(json.loads, lines):
                owner = resource.get("subject") or resource.get("beneficiary") or {}
                patient = resource["id"] if resource_type == "Patient" else _id(owner)
                record = found.setdefault(patient, Record(patient))
                record.resources.setdefault(resource_type, []).append(resource)
    return [record for _, record in sorted(found.items()) if record.of("Patient")]


def _companions(records: Iterable[Record]) -> Iterator[Resource]:
    for record in records:
        yield from companions(record)


def medications() -> Iterator[Resource]:
    """The products that dispenses and statements name by reference, and who makes them; of no patient."""
    yield {
        "resourceType": "Organization",
        "id": MANUFACTURER,
        "active": True,
        "type": [{"coding": [_coding(_ORGANIZATION_TYPE, "bus", "Non-Healthcare Business or Corporation")]}],
        "name": "Northwind Pharma",
    }
    for id_, code, name, form, form_name in _MEDICATIONS:
        yield {
            "resourceType": "Medication",
            "id": id_,
            "code": {"coding": [_coding(_RXNORM, code, name)], "text": name},
            "status": "active",
            "manufacturer": {"reference": f"Organization/{MANUFACTURER}"},
            "form": {"coding": [_coding(_SNOMED, form, form_name)]},
            "batch": {"lotNumber": f"LOT-{code}", "expirationDate": "2028-06-30"},
        }


def companions(record: Record) -> Iterator[Resource]:
    """The further resources of one patient."""
    dice = random.Random(f"companions/{record.patient}")
    encounters = [each for each in record.of("Encounter") if "start" in each.get("period", {})]
    if not encounters:
        return
    last = max(encounters, key=lambda each: str(each["period"]["start"]))
    yield from _plan(record, last, dice)
    yield _statement(record, last, dice)
    yield _answers(record, last, dice)
    prescriptions = [each for each in record.of("MedicationRequest") if "medicationCodeableConcept" in each]
    for prescription in _some(dice, prescriptions, _DISPENSED):
        yield _dispense(record, prescription, dice)
    if coverages := record.of("Coverage"):
        for encounter in _some(dice, encounters, _CLAIMED):
            yield from claim_and_benefit(
                record.patient, encounter, coverages[-1], record.of("Condition"), dice
            )


def _plan(record: Record, encounter: Resource, dice: random.Random) -> Iterator[Resource]:
    """A goal for a condition of the patient, and the plan that pursues it."""
    conditions = [each for each in record.of("Condition") if _is_active(each)]
    if not conditions:
        return
    condition = dice.choice(conditions)
    day = _day(encounter)
    addresses = [{"reference": f"Condition/{condition['id']}"}]
    subject = {"reference": f"Patient/{record.patient}"}
    goal = f"goal-{record.patient}"
    yield {
        "resourceType": "Goal",
        "id": goal,
        "lifecycleStatus": "active",
        "achievementStatus": {
            "coding": [
                _coding(_hl7("goal-achievement"), *dice.choice((("improving", "Improving"), ("in-progress", "In Progress"))))
            ]
        },
        "category": [{"coding": [_coding(_hl7("goal-category"), "physiotherapy", "Physiotherapy")]}],
        "priority": {"coding": [_coding(_hl7("goal-priority"), "medium-priority", "Medium Priority")]},
        "description": {
            "coding": [_coding(_SNOMED, "289169006", "Weight maintained")],
            "text": "Keep body weight within the agreed range",
        },
        "subject": subject,
        "startDate": _date(day),
        "statusDate": _date(day + timedelta(days=30)),
        "addresses": addresses,
        "target": [
            {
                "measure": {"coding": [_coding(_LOINC, "29463-7", "Body weight")], "text": "Body weight"},
                **_target(dice),
                "dueDate": _date(day + timedelta(days=180)),
            }
        ],
    }  # fmt: skip
    teams = [each for each in record.of("CareTeam") if _id(each.get("encounter")) == encounter["id"]]
    yield {
        "resourceType": "CarePlan",
        "id": f"plan-{record.patient}",
        "status": "active",
        "intent": "plan",
        "category": [
            {
                "coding": [_coding(_SNOMED, "698360004", "Diabetes self management plan")],
                "text": "Self management",
            }
        ],
        "title": "Self management",
        "description": "Regular weighing, activity and follow-up",
        "subject": subject,
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "period": {"start": day.isoformat(), "end": (day + timedelta(days=180)).isoformat()},
        "created": encounter["period"]["start"],
        **_if({"author": {"reference": _practitioner(encounter)}}, _practitioner(encounter)),
        **_if({"careTeam": [{"reference": f"CareTeam/{each['id']}"} for each in teams[:1]]}, teams),
        "addresses": addresses,
        "goal": [{"reference": f"Goal/{goal}"}],
        "activity": [
            {
                "detail": {
                    "code": {
                        "coding": [_coding(_SNOMED, "229065009", "Exercise therapy")],
                        "text": "Exercise",
                    },
                    "status": "in-progress",
                }
            }
        ],
    }


def _target(dice: random.Random) -> Resource:
    low = dice.randint(55, 80)
    if dice.random() < 0.5:
        return {
            "detailQuantity": {
                "value": low,
                "unit": "kg",
                "system": "http://unitsofmeasure.org",
                "code": "kg",
            }
        }
    return {"detailRange": {"low": {"value": low, "unit": "kg"}, "high": {"value": low + 5, "unit": "kg"}}}


def _statement(record: Record, encounter: Resource, dice: random.Random) -> Resource:
    """A medication that the patient says to take, bought without a prescription."""
    id_, _, name, _, _ = dice.choice(_MEDICATIONS)
    day = _day(encounter)
    conditions = record.of("Condition")
    return {
        "resourceType": "MedicationStatement",
        "id": f"statement-{record.patient}",
        "status": dice.choice(("active", "active", "completed")),
        "category": {
            "coding": [
                _coding(_hl7("medication-statement-category"), "patientspecified", "Patient Specified")
            ]
        },
        "medicationReference": {"reference": f"Medication/{id_}", "display": name},
        "subject": {"reference": f"Patient/{record.patient}"},
        "context": {"reference": f"Encounter/{encounter['id']}"},
        "effectivePeriod": {"start": _date(day - timedelta(days=dice.randint(20, 400)))},
        "dateAsserted": encounter["period"]["start"],
        **_if(
            {"reasonReference": [{"reference": f"Condition/{conditions[0]['id']}"}]} if conditions else {},
            conditions,
        ),
        "dosage": [
            {
                "text": "1 daily, by mouth",
                "asNeededBoolean": dice.random() < 0.5,
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "route": {"coding": [_coding(_SNOMED, "26643006", "Oral")], "text": "by mouth"},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet", "code": "{tbl}"}}],
            }
        ],
    }


def _dispense(record: Record, prescription: Resource, dice: random.Random) -> Resource:
    days = dice.choice((14, 30, 90))
    written = str(prescription.get("authoredOn", ""))
    repeated = ("encounter", "medicationCodeableConcept", "dosageInstruction")
    kept = {name: prescription[name] for name in repeated if name in prescription}
    if "encounter" in kept:
        kept["context"] = kept.pop("encounter")
    return {
        "resourceType": "MedicationDispense",
        "id": f"dispense-{prescription['id']}",
        "status": "completed",
        "category": {"coding": [_coding(_hl7("medicationdispense-category"), "community", "Community")]},
        "subject": {"reference": f"Patient/{record.patient}"},
        **kept,
        "authorizingPrescription": [{"reference": f"MedicationRequest/{prescription['id']}"}],
        "type": {"coding": [_coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "FF", "First Fill")]},
        "quantity": {"value": days, "unit": "tablet", "system": "http://unitsofmeasure.org", "code": "{tbl}"},
        **_if({"performer": [{"actor": prescription.get("requester")}]}, prescription.get("requester")),
        "daysSupply": {"value": days, "unit": "day", "system": "http://unitsofmeasure.org", "code": "d"},
        **_if({"whenPrepared": written, "whenHandedOver": written}, written),
    }


def _answers(record: Record, encounter: Resource, dice: random.Random) -> Resource:
    """A PHQ-2 with its score, in a group of its own, and two questions on habits."""
    picked = [dice.randrange(4) for _ in range(2)]
    questions = (
        ("44250-9", "Little interest or pleasure"),
        ("44255-8", "Feeling down, depressed or hopeless"),
    )
    items: list[Resource] = [
        {"linkId": link, "text": text, "answer": [{"valueCoding": _coding(_LOINC, *_ANSWERS[place])}]}
        for (link, text), place in zip(questions, picked, strict=True)
    ]
    items.append(
        {"linkId": "55758-7", "text": "PHQ-2 total score", "answer": [{"valueInteger": sum(picked)}]}
    )
    smokes = dice.random() < 0.2
    follow_up = [
        {
            "linkId": "smokes-daily",
            "text": "Cigarettes a day",
            "answer": [{"valueInteger": dice.randint(1, 20)}],
        }
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        "id": f"answers-{record.patient}",
        "questionnaire": "urn:watershed:Questionnaire:intake",
        "status": "completed",
        "subject": {"reference": f"Patient/{record.patient}"},
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "authored": encounter["period"]["start"],
        **_if({"author": {"reference": _practitioner(encounter)}}, _practitioner(encounter)),
        "item": [
            {"linkId": "phq-2", "text": "Over the last two weeks", "item": items},
            {
                "linkId": "smokes",
                "text": "Do you smoke?",
                "answer": [{"valueBoolean": smokes, **_if({"item": follow_up}, smokes)}],
            },
            {
                "linkId": "sleep",
                "text": "Hours of sleep a night",
                "answer": [{"valueQuantity": {"value": dice.randint(5, 9), "unit": "h", "code": "h"}}],
            },
        ],
    }  # fmt: skip


def _some(dice: random.Random, resources: list[Resource], one_in: int) -> list[Resource]:
    return dice.sample(resources, -(-len(resources) // one_in))


def _is_active(condition: Resource) -> bool:
    status = condition.get("clinicalStatus", {}).get("coding", [{}])
    return bool(status[0].get("code") == "active")


def _practitioner(encounter: Resource) -> str | None:
    for each in encounter.get("participant", ()):
        reference = str(each.get("individual", {}).get("reference", ""))
        if reference.startswith("Practitioner/"):
            return reference
    return None


def _id(reference: Mapping[str, Any] | None) -> str:
    return str((reference or {}).get("reference", "")).rpartition("/")[2]


def _coding(system: str, code: str, display: str) -> Resource:
    return {"system": system, "code": code, "display": display}


def _hl7(name: str) -> str:
    return f"http://terminology.hl7.org/CodeSystem/{name}"


def _if(fields: Resource, there: object) -> Resource:
    return fields if there else {}


def _day(encounter: Resource) -> datetime:
    return datetime.fromisoformat(encounter["period"]["start"])


def _date(day: datetime) -> str:
    return f"{day:%Y-%m-%d}"
