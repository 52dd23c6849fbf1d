"""Clinical resources for the tests of models, and random rounds of care that collide, move and vanish."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.spark.curate.rounds import play_round
from tests.spark.curate.world import World, encounter

LOINC, RXNORM, SNOMED = (
    "http://loinc.org",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://snomed.info/sct",
)
Resource = dict[str, Any]


def coded(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def reference(kind: str, id_: str) -> Resource:
    return {"reference": f"{kind}/{id_}"}


def condition(id_: str, code: str, status: str = "active", *, of: str = "p1", **more: Any) -> Resource:
    return {
        "resourceType": "Condition",
        "id": id_,
        "clinicalStatus": {"coding": [{"code": status}]},
        "code": coded(SNOMED, code, f"problem {code}"),
        "subject": reference("Patient", of),
        **more,
    }


def result(id_: str, code: str, value: float, at: str, *, status: str = "final", of: str = "p1") -> Resource:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": status,
        "code": coded(LOINC, code, code),
        "subject": reference("Patient", of),
        "encounter": reference("Encounter", "e1"),
        "effectiveDateTime": at,
        "valueQuantity": {"value": value, "unit": "u", "code": "u"},
    }


def pressure(id_: str, systolic: int, diastolic: int, at: str) -> Resource:
    parts = [("8480-6", systolic), ("8462-4", diastolic)]
    panel = result(id_, "85354-9", 0, at)
    del panel["valueQuantity"]
    panel["component"] = [
        {"code": coded(LOINC, code, code), "valueQuantity": {"value": value, "code": "mm[Hg]"}}
        for code, value in parts
    ]
    return panel


def order(id_: str, status: str = "active", **more: Any) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": status,
        "intent": "order",
        "subject": reference("Patient", "p1"),
        "encounter": reference("Encounter", "e1"),
        "authoredOn": "2026-02-01",
        "requester": reference("Practitioner", "d1"),
        "medicationCodeableConcept": coded(RXNORM, "161", "Acetaminophen"),
        **more,
    }


def given(id_: str, of: str, at: str, status: str = "completed") -> Resource:
    return {
        "resourceType": "MedicationAdministration",
        "id": id_,
        "status": status,
        "subject": reference("Patient", "p1"),
        "context": reference("Encounter", "e1"),
        "request": reference("MedicationRequest", of),
        "effectiveDateTime": at,
        "medicationCodeableConcept": coded(RXNORM, "161", "Acetaminophen"),
    }


def stay(id_: str, start: str, end: str, class_code: str = "IMP", of: str = "p1") -> Resource:
    return {
        **encounter(id_, of, start, end),
        "class": {"code": class_code},
        "participant": [{"individual": reference("Practitioner", "d1")}],
    }


def practitioner(id_: str, family: str) -> Resource:
    return {"resourceType": "Practitioner", "id": id_, "name": [{"family": family, "prefix": ["Dr."]}]}


PATIENTS = [f"p{number}" for number in range(5)]
_START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_LOINC_CODES = ("8867-4", "29463-7", "2345-7", "9999-9")


def play_care(world: World, random_: random.Random, changes: int = 160) -> None:
    """``changes`` random changes of clinical resources, and some of patients, encounters and readings."""
    play_round(world, random_, changes // 2)
    for _ in range(changes):
        kind, make, ids = random_.choice(_ACTS)
        id_ = f"{kind[0].lower()}{random_.randrange(ids)}"
        if random_.random() < 0.2:
            world.delete(kind, id_)
        else:
            world.put(make(random_, id_))


def _at(random_: random.Random) -> str:
    at = _START + timedelta(hours=random_.randrange(-60, 60))
    return random_.choice((at.isoformat(), at.isoformat(), f"{at:%Y-%m-%d}", f"{at:%Y-%m}"))


def _who(random_: random.Random) -> str:
    return random_.choice([*PATIENTS, "nobody"])


def _some_stay(random_: random.Random, id_: str) -> Resource:
    start = _START + timedelta(hours=random_.randrange(-100, 100))
    end = start + timedelta(hours=random_.randrange(60))
    place = {"location": reference("Location", "l0")}
    made = stay(id_, start.isoformat(), end.isoformat(), random_.choice(("IMP", "AMB")), _who(random_))
    made["participant"] = [{"individual": reference("Practitioner", f"p{random_.randrange(2)}")}]
    if random_.random() < 0.4:
        made["partOf"] = reference("Encounter", f"e{random_.randrange(25)}")
    return {**made, "location": [place], "status": random_.choice(("finished", "cancelled"))}


def _some_condition(random_: random.Random, id_: str) -> Resource:
    made = condition(
        id_,
        random_.choice(("1", "2")),
        random_.choice(("active", "relapse", "resolved")),
        of=_who(random_),
        recordedDate=_at(random_),
        onsetDateTime=_at(random_),
        encounter=reference("Encounter", f"e{random_.randrange(25)}"),
    )
    if random_.random() < 0.2:
        made["verificationStatus"] = {"coding": [{"code": "refuted"}]}
    return made


def _some_result(random_: random.Random, id_: str) -> Resource:
    status = random_.choice(("final", "amended", "preliminary", "entered-in-error"))
    if random_.random() < 0.3:
        made = pressure(id_, random_.randrange(100, 200), random_.randrange(50, 100), _at(random_))
    else:
        made = result(id_, random_.choice(_LOINC_CODES), random_.randrange(400) / 4, _at(random_))
    encounter_ = reference("Encounter", f"e{random_.randrange(25)}")
    return {
        **made,
        "status": status,
        "subject": reference("Patient", _who(random_)),
        "encounter": encounter_,
    }


def _some_order(random_: random.Random, id_: str) -> Resource:
    return order(
        id_,
        random_.choice(("active", "active", "stopped")),
        subject=reference("Patient", _who(random_)),
        requester=reference("Practitioner", f"p{random_.randrange(3)}"),
        intent=random_.choice(("order", "plan")),
        reasonReference=[reference("Condition", f"c{random_.randrange(14)}")],
    )


def _some_dose(random_: random.Random, id_: str) -> Resource:
    return given(id_, f"m{random_.randrange(6)}", _at(random_), random_.choice(("completed", "not-done")))


def _some_practitioner(random_: random.Random, id_: str) -> Resource:
    return practitioner(id_, f"F{random_.randrange(100)}")


_ACTS: Any = [
    ("Encounter", _some_stay, 25),
    ("Condition", _some_condition, 14),
    ("Observation", _some_result, 25),
    ("MedicationRequest", _some_order, 6),
    ("MedicationAdministration", _some_dose, 9),
    ("Practitioner", _some_practitioner, 2),
]
