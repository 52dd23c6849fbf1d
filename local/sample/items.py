"""DynamoDB items that go with a population: registry patients, their addresses, and the sites' readings."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from local.sample.population import Population, Resource

Item = dict[str, Any]

REGISTRY = "watershed-registry"
SITE_ACTIVITY = "watershed-site-activity"
SITES = ("site-001", "site-002", "site-003", "site-004")

_STREETS = ("Mill Road", "Harbour Street", "Orchard Lane", "Station Road", "Chapel Hill", "River Walk")
_CITIES = (
    ("Lynn", "MA", "01904"),
    ("Salem", "MA", "01970"),
    ("Concord", "NH", "03301"),
    ("Bath", "ME", "04530"),
)
_READINGS_PER_ENCOUNTER = 2


@dataclass(frozen=True)
class TableItem:
    """An item and the DynamoDB table it belongs in."""

    table: str
    item: Item


def registry_patient(random_: random.Random, patient_id: str) -> TableItem:
    """The registry's own record of a patient."""
    enrolled = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=random_.randrange(500_000))
    return TableItem(
        REGISTRY,
        {
            "id": patient_id,
            "sk": "PATIENT",
            "itemType": "Patient",
            "enrolledAt": enrolled.isoformat().replace("+00:00", "Z"),
            "enrolmentStatus": random_.choice(("active", "active", "active", "paused")),
            "preferredLanguage": random_.choice(("en", "en", "es", "pt-BR")),
            "riskScore": Decimal(random_.randrange(1_000_000)).scaleb(-4),
            "consents": set(random_.sample(("research", "contact", "sharing"), random_.randint(1, 3))),
            # Not declared on purpose: undeclared attributes are kept too.
            "source": random_.choice(("web", "phone", "clinic")),
        },
    )


def address(random_: random.Random, patient_id: str, number: int, *, current: bool) -> TableItem:
    """The patient's address number ``number``, the current one or a former."""
    city, state, postal_code = random_.choice(_CITIES)
    return TableItem(
        REGISTRY,
        {
            "id": patient_id,
            "sk": f"ADDRESS#{number:03d}",
            "itemType": "Address",
            "line": f"{random_.randint(1, 400)} {random_.choice(_STREETS)}",
            "city": city,
            "state": state,
            "postalCode": postal_code,
            "country": "US",
            "isCurrent": current,
            "validFrom": f"{2015 + number}-{random_.randint(1, 12):02d}-01",
        },
    )


def reading(random_: random.Random, at: datetime, patient_id: str | None) -> TableItem:
    """One activity reading of a site at ``at``; ``createdAtTime`` is in epoch milliseconds."""
    item: Item = {
        "siteId": random_.choice(SITES),
        "createdAtTime": int(at.timestamp() * 1000) + random_.randrange(60_000),
        "valueOne": Decimal(random_.randrange(100_000)).scaleb(-3),
        "valueTwo": Decimal(random_.randrange(1, 10**9)).scaleb(-6),
    }
    if patient_id is not None:
        item["patientId"] = patient_id
    return TableItem(SITE_ACTIVITY, item)


def encounter_start(resource: Resource) -> datetime | None:
    """When an encounter began, where it says so."""
    start = resource.get("period", {}).get("start")
    if not isinstance(start, str) or "T" not in start:
        return None
    return datetime.fromisoformat(start)


def readings_around(random_: random.Random, encounters: Iterable[Resource]) -> Iterator[TableItem]:
    """Readings within two days of each encounter of its patient."""
    for encounter in encounters:
        start = encounter_start(encounter)
        patient = str(encounter.get("subject", {}).get("reference", "")).removeprefix("Patient/")
        if start is None or not patient:
            continue
        for _ in range(_READINGS_PER_ENCOUNTER):
            yield reading(random_, start + timedelta(minutes=random_.randint(-1440, 2880)), patient)


def items_of_patients(population: Population, ids: Iterable[str], seed: int) -> Iterator[TableItem]:
    """All items of these patients: registry records, one to three addresses, readings around encounters."""
    wanted = frozenset(ids)
    for patient_id in sorted(wanted):
        # A generator of its own per patient: a patient's items do not depend on who else is seeded.
        random_ = random.Random(f"{seed}/{patient_id}")
        yield registry_patient(random_, patient_id)
        addresses = random_.randint(1, 3)
        for number in range(1, addresses + 1):
            yield address(random_, patient_id, number, current=number == addresses)
    random_ = random.Random(f"{seed}/readings/{min(wanted, default='')}")
    encounters = population.of_patients(wanted, shared=False, kind="Encounter")
    yield from readings_around(random_, encounters)


def unlinked_items(seed: int) -> Iterator[TableItem]:
    """What every site has besides: readings of no patient, and items that no item type claims."""
    random_ = random.Random(f"{seed}/unlinked")
    for number in range(20):
        yield reading(random_, datetime(2026, 6, 1, 8, tzinfo=UTC) + timedelta(hours=number), None)
    for number in range(3):
        item = {
            "id": f"cohort-{number}",
            "sk": "COHORT",
            "itemType": "Cohort",
            "size": random_.randint(5, 50),
        }
        yield TableItem(REGISTRY, item)
