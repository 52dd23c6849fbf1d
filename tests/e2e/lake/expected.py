"""The curated tables, computed in plain Python from what the sources hold: slow, small, obviously right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from lambdas.shared import fhir_text
from local.sample.changes import Sources
from local.sample.items import REGISTRY, SITE_ACTIVITY, Item
from local.sample.population import Resource

Row = tuple[Any, ...]

_EXACT = Context(prec=60)
_DAY = timedelta(days=1)


def expected_tables(sources: Sources) -> dict[str, list[Row]]:
    """Rows of each curated table in the columns of `COLUMNS`, in the order of their first."""
    tables = {
        "patient": [_patient(each) for each in sources.of_type("Patient")],
        "encounter": [_encounter(each) for each in sources.of_type("Encounter")],
        "condition": [_condition(each) for each in sources.of_type("Condition")],
        "observation": [_observation(each) for each in sources.of_type("Observation")],
        "patient_profile": _patient_profiles(sources),
        "encounter_site_activity": _encounter_site_activity(sources),
    }
    return {name: sorted(rows, key=lambda row: str(row[0])) for name, rows in tables.items()}


COLUMNS: Mapping[str, Sequence[str]] = {
    "patient": ("id", "gender", "birth_date", "birth_date_text", "active", "family_name", "phone", "city"),
    "encounter": ("id", "patient_key", "status", "class_code", "started_at", "start_text"),
    "condition": ("id", "patient_key", "clinical_status", "code", "onset_text"),
    "observation": ("id", "patient_key", "status", "code", "value_quantity_text", "value_unit"),
    "patient_profile": (
        *("patient_id", "gender", "enrolled_at", "enrolment_status", "risk_score", "consents"),
        *("address_line", "city", "postal_code", "encounter_count", "last_encounter_at"),
        *("site_activity_count", "site_count", "last_site_activity_at"),
        *("value_one_average", "value_two_average"),
    ),
    "encounter_site_activity": (
        *("encounter_id", "patient_id", "site_activity_count", "site_count", "count_before_start"),
        *("first_site_activity_at", "last_site_activity_at", "value_one_average", "value_two_average"),
    ),
}


@dataclass(frozen=True)
class Reading:
    site: str
    at: datetime
    patient_id: str | None
    one: Decimal
    two: Decimal


def _first(values: Iterable[Any]) -> Any:
    return next(iter(values), None)


def _coding(concept: Mapping[str, Any] | None, field: str) -> Any:
    codings = (concept or {}).get("coding", [])
    return codings[0].get(field) if codings else None


def _reference(resource: Resource, field: str, resource_type: str) -> str | None:
    """The id a literal reference of this type names; the key of a resource is its id."""
    reference = str(resource.get(field, {}).get("reference", ""))
    kind, _, id_ = reference.partition("/")
    return id_ if kind == resource_type and id_ else None


def _instant(text: str | None) -> datetime | None:
    """An instant, where the text has date, time and zone; partial ones are null as a timestamp."""
    if text is None or "T" not in text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else None


def _full_date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text is not None and len(text) == len("2026-01-31") else None


def _patient(patient: Resource) -> Row:
    phones = (each.get("value") for each in patient.get("telecom", ()) if each.get("system") == "phone")
    return (
        patient["id"],
        patient.get("gender"),
        _full_date(patient.get("birthDate")),
        patient.get("birthDate"),
        patient.get("active"),
        _first(each.get("family") for each in patient.get("name", ())),
        _first(phones),
        _first(each.get("city") for each in patient.get("address", ())),
    )


def _encounter(encounter: Resource) -> Row:
    start = encounter.get("period", {}).get("start")
    return (
        encounter["id"],
        _reference(encounter, "subject", "Patient"),
        encounter.get("status"),
        encounter.get("class", {}).get("code"),
        _instant(start),
        start,
    )


def _condition(condition: Resource) -> Row:
    return (
        condition["id"],
        _reference(condition, "subject", "Patient"),
        _coding(condition.get("clinicalStatus"), "code"),
        _coding(condition.get("code"), "code"),
        condition.get("onsetDateTime"),
    )


def _observation(observation: Resource) -> Row:
    quantity = observation.get("valueQuantity", {})
    value = quantity.get("value")
    return (
        observation["id"],
        _reference(observation, "subject", "Patient"),
        observation.get("status"),
        _coding(observation.get("code"), "code"),
        None if value is None else fhir_text.dumps(value),  # the digits as they were written
        quantity.get("unit"),
    )


def _readings(sources: Sources) -> list[Reading]:
    return [
        Reading(
            item["siteId"],
            datetime.fromtimestamp(int(item["createdAtTime"]) / 1000, UTC),
            item.get("patientId"),
            item["valueOne"],
            item["valueTwo"],
        )
        for item in sources.items[SITE_ACTIVITY]
    ]


def _average(values: Sequence[Decimal]) -> Decimal | None:
    """To six places, by way of the nine that a quotient of `decimal(38,9)` has in Spark."""
    if not values:
        return None
    quotient = _EXACT.divide(sum(values, Decimal(0)), Decimal(len(values)))
    nine = quotient.quantize(Decimal("1e-9"), ROUND_HALF_UP, _EXACT)
    return nine.quantize(Decimal("1e-6"), ROUND_HALF_UP, _EXACT)


def _patient_profiles(sources: Sources) -> list[Row]:
    registry = {item["id"]: item for item in sources.items[REGISTRY] if item.get("itemType") == "Patient"}
    addresses: dict[str, list[Item]] = defaultdict(list)
    for item in sources.items[REGISTRY]:
        if item.get("itemType") == "Address" and item.get("isCurrent"):
            addresses[item["id"]].append(item)
    visits: dict[str | None, list[Resource]] = defaultdict(list)
    for encounter in sources.of_type("Encounter"):
        visits[_reference(encounter, "subject", "Patient")].append(encounter)
    readings: dict[str | None, list[Reading]] = defaultdict(list)
    for reading in _readings(sources):
        readings[reading.patient_id].append(reading)
    rows: list[Row] = []
    for patient in sources.of_type("Patient"):
        id_ = patient["id"]
        known = registry.get(id_, {})
        home = max(addresses[id_], key=lambda each: (each["validFrom"], each["sk"]), default={})
        starts = [_instant(each.get("period", {}).get("start")) for each in visits[id_]]
        theirs = readings[id_]
        consents = known.get("consents")
        rows.append(
            (
                id_,
                patient.get("gender"),
                _instant(known.get("enrolledAt")),
                known.get("enrolmentStatus"),
                known.get("riskScore"),
                sorted(consents) if consents is not None else None,
                home.get("line"),
                home.get("city"),
                home.get("postalCode"),
                len(visits[id_]),
                max((each for each in starts if each is not None), default=None),
                len(theirs),
                len({each.site for each in theirs}),
                max((each.at for each in theirs), default=None),
                _average([each.one for each in theirs]),
                _average([each.two for each in theirs]),
            )
        )
    return rows


def _encounter_site_activity(sources: Sources) -> list[Row]:
    patients = {each["id"] for each in sources.of_type("Patient")}
    readings = _readings(sources)
    rows: list[Row] = []
    for encounter in sources.of_type("Encounter"):
        patient = _reference(encounter, "subject", "Patient")
        start = _instant(encounter.get("period", {}).get("start"))
        end = _instant(encounter.get("period", {}).get("end")) or start
        around: list[Reading] = []
        if start is not None and end is not None and patient is not None:
            around = [
                each
                for each in readings
                if each.patient_id == patient and start - _DAY <= each.at <= end + _DAY
            ]
        rows.append(
            (
                encounter["id"],
                patient if patient in patients else None,
                len(around),
                len({each.site for each in around}),
                sum(start is not None and each.at < start for each in around),
                min((each.at for each in around), default=None),
                max((each.at for each in around), default=None),
                _average([each.one for each in around]),
                _average([each.two for each in around]),
            )
        )
    return rows
