"""A claim for an encounter, and the explanation of benefit that answers it. Amounts add up."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

Resource = dict[str, Any]

_CPT = "http://www.ama-assn.org/go/cpt"
_SERVICES = (
    ("99213", "Office visit, established patient", 110_00),
    ("99214", "Office visit, established patient, longer", 165_00),
    ("80053", "Comprehensive metabolic panel", 28_00),
    ("85025", "Complete blood count", 21_00),
    ("93000", "Electrocardiogram", 45_00),
)
_COPAY_PERCENT = 20
_HL7 = "http://terminology.hl7.org/CodeSystem/"


def claim_and_benefit(
    patient: str,
    encounter: Resource,
    coverage: Resource,
    conditions: Sequence[Resource],
    dice: random.Random,
) -> Iterator[Resource]:
    """Both resources for one encounter of an insured patient."""
    lines = [_line(number, service, encounter) for number, service in enumerate(dice.sample(_SERVICES, 2), 1)]
    total = sum(cents for _, cents in lines)
    key = str(encounter["id"])
    shared = _shared(patient, encounter, coverage, conditions)
    yield {
        **shared,
        "resourceType": "Claim",
        "id": f"claim-{key}",
        "priority": {"coding": [_coding(f"{_HL7}processpriority", "normal", "Normal")]},
        "insurance": [
            {"sequence": 1, "focal": True, "coverage": {"reference": f"Coverage/{coverage['id']}"}}
        ],
        "item": [line for line, _ in lines],
        "total": _money(total),
    }
    paid = _moment(encounter) + timedelta(days=dice.randint(10, 40))
    benefits = [cents - _copay(cents) for _, cents in lines]
    yield {
        **shared,
        "resourceType": "ExplanationOfBenefit",
        "id": f"benefit-{key}",
        "created": f"{paid:%Y-%m-%d}",
        "claim": {"reference": f"Claim/claim-{key}"},
        "outcome": "complete",
        "disposition": "Claim settled as per contract",
        "insurance": [{"focal": True, "coverage": {"reference": f"Coverage/{coverage['id']}"}}],
        "item": [
            {**line, "adjudication": _adjudication(cents)}
            for line, cents in lines
        ],
        "total": [
            {"category": _category("submitted", "Submitted Amount"), "amount": _money(total)},
            {"category": _category("benefit", "Benefit Amount"), "amount": _money(sum(benefits))},
        ],
        "payment": {"date": f"{paid:%Y-%m-%d}", "amount": _money(sum(benefits))},
    }  # fmt: skip


def _shared(
    patient: str, encounter: Resource, coverage: Resource, conditions: Sequence[Resource]
) -> Resource:
    """What a claim and its answer both say."""
    payors = [each["reference"] for each in coverage.get("payor", ()) if "reference" in each]
    places = [each["location"] for each in encounter.get("location", ()) if "location" in each]
    own = [each for each in conditions if _refers(each.get("encounter"), encounter)] or list(conditions)
    return {
        "status": "active",
        "type": {"coding": [_coding(f"{_HL7}claim-type", "professional", "Professional")]},
        "use": "claim",
        "patient": {"reference": f"Patient/{patient}"},
        "billablePeriod": encounter["period"],
        "created": encounter["period"].get("end", encounter["period"]["start"]),
        "provider": {"reference": "Organization/hospital-main"},
        **({"insurer": {"reference": payors[0]}} if payors else {}),
        **({"facility": places[0]} if places else {}),
        **(
            {"diagnosis": [{"sequence": 1, "diagnosisReference": {"reference": f"Condition/{own[0]['id']}"}}]}
            if own
            else {}
        ),
    }


def _line(number: int, service: tuple[str, str, int], encounter: Resource) -> tuple[Resource, int]:
    code, display, cents = service
    line = {
        "sequence": number,
        "category": {"coding": [_coding(f"{_HL7}ex-benefitcategory", "1", "Medical Care")]},
        "productOrService": {"coding": [_coding(_CPT, code, display)], "text": display},
        "servicedDate": f"{_moment(encounter):%Y-%m-%d}",
        "locationCodeableConcept": {
            "coding": [
                _coding(
                    "https://www.cms.gov/Medicare/Coding/place-of-service-codes", "22", "Outpatient Hospital"
                )
            ]
        },
        "quantity": {"value": 1},
        "unitPrice": _money(cents),
        "net": _money(cents),
        "encounter": [{"reference": f"Encounter/{encounter['id']}"}],
    }
    return line, cents


def _adjudication(cents: int) -> list[Resource]:
    amounts = (
        ("submitted", "Submitted Amount", cents),
        ("eligible", "Eligible Amount", cents),
        ("copay", "CoPay", _copay(cents)),
        ("benefit", "Benefit Amount", cents - _copay(cents)),
    )
    return [{"category": _category(code, name), "amount": _money(each)} for code, name, each in amounts]


def _copay(cents: int) -> int:
    return cents * _COPAY_PERCENT // 100


def _category(code: str, display: str) -> Resource:
    return {"coding": [_coding(f"{_HL7}adjudication", code, display)]}


def _money(cents: int) -> Resource:
    return {"value": cents / 100, "currency": "USD"}


def _coding(system: str, code: str, display: str) -> Resource:
    return {"system": system, "code": code, "display": display}


def _refers(reference: Mapping[str, Any] | None, encounter: Resource) -> bool:
    return str((reference or {}).get("reference", "")).endswith(f"/{encounter['id']}")


def _moment(encounter: Resource) -> datetime:
    return datetime.fromisoformat(encounter["period"]["start"])
