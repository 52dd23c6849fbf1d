"""The curated tables in plain Python, from the sources' state: written from what the columns promise, not
from the SQL that makes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.spark.curate.world import Item, World

_DAY = timedelta(days=1)
_SIX_PLACES = Decimal("0.000001")
Row = dict[str, Any]


def resources(world: World, kind: str) -> dict[str, dict[str, Any]]:
    """What analysts see of a type, by id."""
    aside = set_aside(world) if kind == "Encounter" else set()
    return {id_: each for (of, id_), each in world.resources.items() if of == kind and id_ not in aside}


def set_aside(world: World) -> set[str]:
    """Encounters that end before they start."""
    found = set()
    for (kind, id_), each in world.resources.items():
        start, end = (moment(each.get("period", {}).get(name)) for name in ("start", "end"))
        if kind == "Encounter" and start and end and end < start:
            found.add(id_)
    return found


def moment(text: str | None) -> datetime | None:
    return (
        datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) if text and "T" in text else None
    )


def begun(text: str | None) -> datetime | None:
    """As ``moment``; the beginning of the day where only that is known."""
    known_day = day(text)
    return datetime.combine(known_day, time(), UTC) if known_day else moment(text)


def day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text and len(text) == 10 else None


def written_day(text: str | None) -> date | None:
    """The day as written, where the text has one."""
    return date.fromisoformat(text[:10]) if text and len(text) >= 10 else None


def average(values: Iterable[Decimal | None]) -> Decimal | None:
    known = [each for each in values if each is not None]
    if not known:
        return None
    return (sum(known, Decimal(0)) / len(known)).quantize(_SIX_PLACES, ROUND_HALF_UP)


def patient_view(world: World) -> list[Row]:
    """The columns of ``curated.patient`` that the world's patients vary in."""
    return [
        {
            "resource_key": id_,
            "id": id_,
            "family_name": each["name"][0]["family"],
            "gender": each.get("gender"),
            "birth_date": day(each.get("birthDate")),
            "birth_date_text": each.get("birthDate"),
            "is_deceased": bool(each.get("deceasedBoolean", "deceasedDateTime" in each)),
            "deceased_at": moment(each.get("deceasedDateTime")),
            "deceased_date": written_day(each.get("deceasedDateTime")),
        }
        for id_, each in resources(world, "Patient").items()
    ]


def encounter_view(world: World) -> list[Row]:
    return [
        {
            "resource_key": id_,
            "patient_key": _patient_of(each),
            "status": each["status"],
            "started_at": moment(each["period"].get("start")),
            "start_date": written_day(each["period"].get("start")),
            "start_text": each["period"].get("start"),
            "ended_at": moment(each["period"].get("end")),
        }
        for id_, each in resources(world, "Encounter").items()
    ]


def _patient_of(encounter: Mapping[str, Any]) -> str | None:
    reference = encounter.get("subject", {}).get("reference")
    return reference.removeprefix("Patient/") if reference else None


def patient_profile(world: World) -> list[Row]:
    readings = _by_patient(world.items["site_activity"].values(), "patient_id")
    addresses = _by_patient(world.items["address"].values(), "id")
    visits: dict[str | None, list[Mapping[str, Any]]] = defaultdict(list)
    for each in resources(world, "Encounter").values():
        visits[_patient_of(each)].append(each)
    rows = []
    for id_, patient in resources(world, "Patient").items():
        current = [each for each in addresses[id_] if each["is_current"]]
        # The latest known start wins; an unknown start is older than any; equal ones go by number.
        home = max(current, key=lambda each: (each["valid_from"] or date.min, each["sk"]), default={})
        registry: Item = world.items["patient"].get((id_, "PATIENT"), {})
        taken = readings[id_]
        starts = [begun(each["period"].get("start")) for each in visits[id_]]
        rows.append(
            {
                "patient_key": id_,
                "patient_id": id_,
                "family_name": patient["name"][0]["family"],
                "birth_date": day(patient.get("birthDate")),
                "deceased_date": written_day(patient.get("deceasedDateTime")),
                "enrolment_status": registry.get("enrolment_status"),
                "risk_score": registry.get("risk_score"),
                "address_line": home.get("line"),
                "address_since": home.get("valid_from"),
                "encounter_count": len(visits[id_]),
                "last_encounter_at": max((each for each in starts if each), default=None),
                "site_activity_count": len(taken),
                "site_count": len({each["site_id"] for each in taken}),
                "last_site_activity_at": max((each["created_at_time"] for each in taken), default=None),
                "value_one_average": average(each["value_one"] for each in taken),
                "value_two_average": average(each["value_two"] for each in taken),
            }
        )
    return rows


def encounter_site_activity(world: World) -> list[Row]:
    known = resources(world, "Patient")
    readings = _by_patient(world.items["site_activity"].values(), "patient_id")
    rows = []
    for id_, encounter in resources(world, "Encounter").items():
        patient = _patient_of(encounter)
        start, end = (encounter["period"].get(name) for name in ("start", "end"))
        beginning = begun(start)
        opens = beginning - _DAY if beginning else None
        closing = _over(end) or _over(start)
        closes = closing + _DAY if closing else None
        inside = [
            each
            for each in (readings[patient] if patient in known else [])
            if opens and closes and opens <= each["created_at_time"] <= closes
        ]
        rows.append(
            {
                "encounter_key": id_,
                "patient_key": patient,
                "patient_id": patient if patient in known else None,
                "started_at": moment(start),
                "window_start": opens,
                "window_end": closes,
                "site_activity_count": len(inside),
                "count_before_start": len(
                    [each for each in inside if opens and each["created_at_time"] < opens + _DAY]
                ),
                "first_site_activity_at": min((each["created_at_time"] for each in inside), default=None),
                "last_site_activity_at": max((each["created_at_time"] for each in inside), default=None),
                "value_one_average": average(each["value_one"] for each in inside),
                "value_two_average": average(each["value_two"] for each in inside),
            }
        )
    return rows


def _over(text: str | None) -> datetime | None:
    """A time, or the end of the day where only that is known."""
    known_day = day(text)
    return datetime.combine(known_day, time(), UTC) + _DAY if known_day else moment(text)


def _by_patient(items: Iterable[Item], column: str) -> dict[str | None, list[Item]]:
    grouped: dict[str | None, list[Item]] = defaultdict(list)
    for item in items:
        grouped[item.get(column)].append(item)
    return grouped


TABLES = {
    "patient": patient_view,
    "encounter": encounter_view,
    "patient_profile": patient_profile,
    "encounter_site_activity": encounter_site_activity,
}
