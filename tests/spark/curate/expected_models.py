"""The clinical models in plain Python, from the sources' state: written from what their columns promise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.spark.curate.expected import Row, average, begun, day, moment, resources, written_day
from tests.spark.curate.world import World

Resource = Mapping[str, Any]
_NINE_PLACES = Decimal("1e-9")
_NEVER = datetime.max.replace(tzinfo=UTC)
_MEASURES = {
    "8867-4": "heart_rate",
    "29463-7": "body_weight",
    "2345-7": "glucose",
    "8480-6": "systolic_pressure",
    "8462-4": "diastolic_pressure",
}


def _refers(resource: Resource, field: str) -> str | None:
    reference = resource.get(field, {}).get("reference")
    return str(reference).partition("/")[2] if reference else None


def _grouped(found: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for each in found:
        groups[key(each)].append(each)
    return groups


def active_problem_list(world: World) -> list[Row]:
    known = resources(world, "Patient")
    active = [
        each
        for each in resources(world, "Condition").values()
        if each["clinicalStatus"]["coding"][0]["code"] in ("active", "recurrence", "relapse")
        and each.get("verificationStatus", {}).get("coding", [{}])[0].get("code") != "refuted"
    ]
    rows = []
    groups = _grouped(active, lambda each: (_refers(each, "subject"), each["code"]["coding"][0]["code"]))
    for (patient, code), of in groups.items():
        recorded = [written_day(each.get("recordedDate")) for each in of]
        onsets = [written_day(each.get("onsetDateTime")) for each in of]
        # The latest recorded; of equal days the text decides, then the lesser key.
        of.sort(key=lambda each: each["id"])
        latest = max(
            of,
            key=lambda each: (
                written_day(each.get("recordedDate")) or date.min,
                each.get("recordedDate") or "",
            ),
        )
        rows.append(
            {
                "patient_key": patient,
                "patient_id": patient if patient in known else None,
                "code": code,
                "condition_count": len(of),
                "first_onset_date": min((each for each in onsets if each), default=None),
                "last_recorded_date": max((each for each in recorded if each), default=None),
                "condition_key": latest["id"],
                "encounter_key": _refers(latest, "encounter"),
            }
        )
    return rows


def _name(practitioner: Resource | None) -> str | None:
    return (
        f"{practitioner['name'][0]['prefix'][0]} {practitioner['name'][0]['family']}"
        if practitioner
        else None
    )


def current_medications(world: World) -> list[Row]:
    doses = _grouped(
        (
            each
            for each in resources(world, "MedicationAdministration").values()
            if each["status"] == "completed"
        ),
        lambda each: _refers(each, "request"),
    )
    rows = []
    for id_, order in resources(world, "MedicationRequest").items():
        if order["status"] != "active" or order["intent"] != "order":
            continue
        patient, prescriber = _refers(order, "subject"), _refers(order, "requester")
        given = [moment(each["effectiveDateTime"]) for each in doses[id_]]
        rows.append(
            {
                "medication_use_key": f"MedicationRequest/{id_}",
                "patient_key": patient,
                "patient_id": patient if patient in resources(world, "Patient") else None,
                "since_date": day(order["authoredOn"]),
                "reason": _reason(world, order),
                "prescriber_name": _name(resources(world, "Practitioner").get(str(prescriber))),
                "administration_count": len(given),
                "last_administered_at": max((each for each in given if each), default=None),
            }
        )
    return rows


def _reason(world: World, order: Resource) -> str | None:
    """The first condition that an order names, for people."""
    for reason in order.get("reasonReference", ())[:1]:
        found = resources(world, "Condition").get(reason["reference"].partition("/")[2])
        return found["code"]["coding"][0].get("display") if found else None
    return None


def encounter_timeline(world: World) -> list[Row]:
    known = resources(world, "Patient")
    counted = {
        "condition_count": _within(world, "Condition", ()),
        "observation_count": _within(world, "Observation", ("entered-in-error",)),
        "medication_request_count": _within(world, "MedicationRequest", ("entered-in-error",)),
        "medication_administration_count": _within(world, "MedicationAdministration", ("not-done",)),
    }
    rows = []
    visits = _grouped(resources(world, "Encounter").values(), lambda each: _refers(each, "subject"))
    for patient, of in visits.items():
        of.sort(key=lambda each: (begun(each["period"].get("start")) or _NEVER, each["id"]))
        discharged: datetime | None = None
        previous: Resource = {}
        for place, visit in enumerate(of, 1):
            start, end = (begun(visit["period"].get(name)) for name in ("start", "end"))
            exact = [moment(visit["period"].get(name)) for name in ("start", "end")]
            since = _days(discharged, start) if patient else None
            is_inpatient = visit["class"]["code"] == "IMP"
            stay = next((each for each in of if each["id"] == _refers(visit, "partOf")), None)
            is_own = is_inpatient and (stay is None or not patient or stay["class"]["code"] != "IMP")
            rows.append(
                {
                    "encounter_key": visit["id"],
                    "patient_id": patient if patient in known else None,
                    "start_date": written_day(visit["period"].get("start")),
                    "sequence_number": place if patient else None,
                    "previous_encounter_key": previous.get("id") if patient else None,
                    "days_since_previous": _days(begun(previous.get("period", {}).get("start")), start)
                    if patient
                    else None,
                    "days_since_discharge": since,
                    "is_readmission_30d": is_own and since is not None and since < 30,
                    "length_minutes": _minutes(*exact),
                    "practitioner_name": _name(
                        resources(world, "Practitioner").get(
                            str(_refers(visit.get("participant", [{}])[0], "individual"))
                        )
                    ),
                    **{name: len(of_[visit["id"]]) for name, of_ in counted.items()},
                }
            )
            if is_own and end and (discharged is None or end > discharged):
                discharged = end
            previous = visit
    return rows


def _within(world: World, kind: str, without: tuple[str, ...]) -> dict[Any, list[Any]]:
    found = (each for each in resources(world, kind).values() if each.get("status") not in without)
    return _grouped(
        found, lambda each: _refers(each, "context" if kind == "MedicationAdministration" else "encounter")
    )


def _minutes(earlier: datetime | None, later: datetime | None) -> int | None:
    return int((later - earlier).total_seconds() // 60) if earlier and later else None


def _days(earlier: datetime | None, later: datetime | None) -> int | None:
    return (later - earlier).days if earlier and later and earlier <= later else None


def latest_vitals_and_labs(world: World) -> list[Row]:
    measured: dict[tuple[str | None, str], list[tuple[Any, ...]]] = defaultdict(list)
    for id_, each in resources(world, "Observation").items():
        written = each["effectiveDateTime"]
        at = begun(written)
        if at is None or each["status"] not in ("final", "amended", "corrected"):
            continue
        for part, value in enumerate([each, *each.get("component", ())]):
            measure = _MEASURES.get(value["code"]["coding"][0]["code"])
            if measure and "valueQuantity" in value:
                number = Decimal(str(value["valueQuantity"]["value"])).quantize(_NINE_PLACES)
                measured[_refers(each, "subject"), measure].append((at, id_, part, number))
    rows = []
    for patient in resources(world, "Patient"):
        row: Row = {"patient_key": patient}
        latest = {name: max(measured[patient, name], default=(None,) * 4) for name in _MEASURES.values()}
        for name, (at, _, _, number) in latest.items():
            row[name], row[f"{name}_at"] = number, at
        times = [at for at, *_ in latest.values() if at]
        rows.append({**row, "last_measured_at": max(times, default=None)})
    return rows


def site_activity_daily(world: World) -> list[Row]:
    known = resources(world, "Patient")
    happened = [
        (kind, _refers(each, "subject"), begun(_when(each)), each)
        for kind, left_out in (("Encounter", "cancelled"), ("Observation", "entered-in-error"))
        for each in resources(world, kind).values()
        if each["status"] != left_out
    ]
    rows = []
    days = _grouped(
        world.items["site_activity"].values(), lambda each: (each["site_id"], each["created_at_time"].date())
    )
    for (site, on), of in days.items():
        patients = {each["patient_id"] for each in of} - {None}
        theirs = [
            (kind, who, each)
            for kind, who, at, each in happened
            if who in patients & set(known) and at and at.date() == on
        ]
        visits = [(who, each) for kind, who, each in theirs if kind == "Encounter"]
        rows.append(
            {
                "site_id": site,
                "activity_date": on,
                "reading_count": len(of),
                "unlinked_reading_count": len([each for each in of if each["patient_id"] is None]),
                "patient_count": len(patients),
                "known_patient_count": len(patients & set(known)),
                "value_one_average": average(each["value_one"] for each in of),
                "encounter_count": len(visits),
                "inpatient_encounter_count": len(
                    [each for _, each in visits if each["class"]["code"] == "IMP"]
                ),
                "encounter_patient_count": len({who for who, _ in visits}),
                "observation_count": len(theirs) - len(visits),
            }
        )
    return rows


def _when(resource: Resource) -> str | None:
    when = (
        resource["effectiveDateTime"] if "effectiveDateTime" in resource else resource["period"].get("start")
    )
    return str(when) if when else None


MODELS: dict[str, Callable[[World], list[Row]]] = {
    "active_problem_list": active_problem_list,
    "current_medications": current_medications,
    "encounter_timeline": encounter_timeline,
    "latest_vitals_and_labs": latest_vitals_and_labs,
    "site_activity_daily": site_activity_daily,
}
