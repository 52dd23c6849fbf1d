"""What clinosim leaves out of the resources that it does generate: who employs whom, where things are, what was
written on a box, why something was asked for.

By a resource's id alone, and with references only to what was generated for the same patient or for no patient, so
that a record does not depend on who else is generated. All of it is made up.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local.sample.companions import MANUFACTURER

Resource = dict[str, Any]

_NPI: Final = "http://hl7.org/fhir/sid/us-npi"
_SNOMED: Final = "http://snomed.info/sct"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_UCUM: Final = "http://unitsofmeasure.org"
_HOSPITAL: Final = {"reference": "Organization/hospital-main"}
_STREETS: Final = ("Hospital Way", "Mill Street", "Union Avenue", "Harbor Road")
_TOWNS: Final = (("Boston", "02114"), ("Worcester", "01608"), ("Lowell", "01852"), ("Salem", "01970"))
_MANUFACTURERS: Final = ("Northwind Medical", "Contoso Devices", "Fabrikam Care")


@dataclass(frozen=True)
class Known:
    """What may be referred to.

    ``practitioners`` are ids, ``specialties`` their codings by name in lower case, ``conditions`` by patient the ids
    and codes of what they have.
    """

    practitioners: tuple[str, ...] = ()
    specialties: Mapping[str, Resource] = field(default_factory=dict)
    conditions: Mapping[str, tuple[tuple[str, Resource], ...]] = field(default_factory=dict)


Detail = Callable[[Resource, random.Random, Known], None]


def write_details(folder: Path) -> None:
    """Add the details to the files of a generated population, in place."""
    known = _known(folder)
    for resource_type, add in _DETAILS.items():
        file = folder / f"{resource_type}.ndjson"
        if file.is_file():
            resources = [detailed(each, known, add) for each in _read(file)]
            file.write_text("".join(f"{json.dumps(each)}\n" for each in resources), encoding="utf-8")


def detailed(resource: Resource, known: Known, add: Detail | None = None) -> Resource:
    """The resource with its details; what it says itself stays."""
    add = add or _DETAILS.get(resource["resourceType"])
    if add is not None:
        add(resource, random.Random(f"details/{resource['id']}"), known)
    return resource


def _read(file: Path) -> Iterator[Resource]:
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _known(folder: Path) -> Known:
    conditions: dict[str, list[tuple[str, Resource]]] = {}
    for each in _read(folder / "Condition.ndjson"):
        conditions.setdefault(_owner(each), []).append((each["id"], each.get("code", {})))
    practitioners = sorted(each["id"] for each in _read(folder / "Practitioner.ndjson"))
    specialties = {
        coding["display"].casefold(): coding
        for role in _read(folder / "PractitionerRole.ndjson")
        for specialty in role.get("specialty", ())
        for coding in specialty.get("coding", ())
        if "display" in coding
    }
    owned = {owner: tuple(sorted(of, key=lambda each: each[0])) for owner, of in conditions.items()}
    return Known(tuple(practitioners), specialties, owned)


def _owner(resource: Mapping[str, Any]) -> str:
    owner = resource.get("subject") or resource.get("patient") or {}
    return str(owner.get("reference", "")).partition("/")[2]


def _coded(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _digits(dice: random.Random, count: int) -> str:
    return "".join(dice.choice("0123456789") for _ in range(count))


def _address(dice: random.Random) -> Resource:
    town, postal_code = dice.choice(_TOWNS)
    return {
        "use": "work",
        "line": [f"{dice.randrange(1, 400)} {dice.choice(_STREETS)}"],
        "city": town,
        "state": "MA",
        "postalCode": postal_code,
        "country": "US",
    }


def _phone(dice: random.Random) -> Resource:
    return {"system": "phone", "value": f"(617) 555-{_digits(dice, 4)}", "use": "work"}


def _npi(dice: random.Random) -> Resource:
    return {"system": _NPI, "value": f"1{_digits(dice, 9)}"}


def _practitioner(dice: random.Random, known: Known) -> Resource | None:
    return {"reference": f"Practitioner/{dice.choice(known.practitioners)}"} if known.practitioners else None


def _put(resource: Resource, **values: Any) -> None:
    """Add what the resource does not say itself; a name that ends in `_` is a keyword of Python's without it."""
    for name, value in values.items():
        if value is not None:
            resource.setdefault(name.rstrip("_"), value)


def _encounter(each: Resource, _dice: random.Random, known: Known) -> None:
    service = each.get("serviceType", {})
    if coding := known.specialties.get(service.get("text", "").casefold()):
        _put(service, coding=[coding])


def _organization(each: Resource, dice: random.Random, _known: Known) -> None:
    each.setdefault("identifier", []).append(_npi(dice))
    _put(each, telecom=[_phone(dice)], address=[_address(dice)])
    for kind in each.get("type", ())[:1]:
        kind.setdefault("text", kind.get("coding", [{}])[0].get("display"))


def _practitioner_details(each: Resource, dice: random.Random, _known: Known) -> None:
    each.setdefault("identifier", []).append(_npi(dice))
    _put(each, address=[_address(dice)])


def _role(each: Resource, dice: random.Random, _known: Known) -> None:
    _put(
        each,
        telecom=[_phone(dice), {"system": "email", "value": f"{each['id'].lower()}@hospital.example.org"}],
    )
    if dice.random() < 0.1:
        each.setdefault("period", {}).setdefault("end", "2026-12-31")


def _location(each: Resource, dice: random.Random, _known: Known) -> None:
    _put(
        each,
        identifier=[{"system": "urn:watershed:sample:location", "value": each["id"].upper()}],
        description=f"{each.get('name', 'A place')} of the hospital",
        mode="instance",
        telecom=[_phone(dice)],
        address=_address(dice),
        position={"latitude": 42.36 + dice.randrange(100) / 10_000, "longitude": -71.07 - dice.randrange(100) / 10_000},
    )  # fmt: skip


def _device(each: Resource, dice: random.Random, _known: Known) -> None:
    name = each.get("type", {}).get("text", "Device")
    number = f"00{_digits(dice, 12)}"
    _put(
        each,
        deviceName=[{"name": name, "type": "user-friendly-name"}],
        manufacturer=dice.choice(_MANUFACTURERS),
        modelNumber=f"M-{_digits(dice, 3)}",
        lotNumber=f"LOT-{_digits(dice, 5)}",
        serialNumber=f"SN-{_digits(dice, 8)}",
        distinctIdentifier=f"DI-{_digits(dice, 6)}",
        udiCarrier=[{"deviceIdentifier": number, "carrierHRF": f"(01){number}"}],
        manufactureDate="2024-05-01",
        expirationDate="2029-04-30",
    )


def _patient(each: Resource, dice: random.Random, known: Known) -> None:
    _put(each, managingOrganization=_HOSPITAL)
    if doctor := _practitioner(dice, known):
        _put(each, generalPractitioner=[doctor])
    for name in each.get("name", ())[:1]:
        _put(name, prefix=["Ms." if each.get("gender") == "female" else "Mr."])
        if dice.random() < 0.05:
            _put(name, suffix=["Jr."])
        name.setdefault("text", " ".join((*name.get("given", ()), name.get("family", ""))))
    for home in each.get("address", ())[:1]:
        if dice.random() < 0.3:
            home["line"] = [*home.get("line", ())[:1], f"Apartment {dice.randrange(1, 60)}"]
        _put(home, district=f"{home.get('city', 'Some')} District")
        home.setdefault("text", ", ".join((*home.get("line", ()), home.get("city", ""))))
    if dice.random() < 0.6:
        mailbox = {"system": "email", "value": f"{each['id']}@mail.example.org", "use": "home", "rank": 2}
        each.setdefault("telecom", []).append(mailbox)


def _coverage(each: Resource, dice: random.Random, _known: Known) -> None:
    kind = each.setdefault("type", {})
    kind.setdefault("coding", [{"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "EHCPOL", "display": "extended healthcare"}])  # fmt: skip
    _put(each, policyHolder=each.get("subscriber"), order=1, network=f"Network {dice.choice('ABC')}")
    coding = {"system": f"{_TERMINOLOGY}/coverage-class", "code": "plan", "display": "Plan"}
    each.setdefault("class", []).append(
        {
            "type": {"coding": [coding]},
            "value": f"PLAN-{_digits(dice, 3)}",
            "name": f"Plan {dice.choice('ABCD')}",
        }
    )
    for payor in each.get("payor", ())[:1]:
        payor.setdefault("display", kind.get("text", "Payer"))


def _allergy(each: Resource, dice: random.Random, known: Known) -> None:
    year = 1990 + dice.randrange(30)
    _put(each, asserter=_practitioner(dice, known))
    if "reaction" in each:  # not of who has no allergy
        _put(each, onsetDateTime=dice.choice((str(year), f"{year}-{dice.randrange(1, 13):02}-17")))
        _put(each, lastOccurrence=f"2025-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}")


def _care_team(each: Resource, dice: random.Random, known: Known) -> None:
    category = each.setdefault("category", [{}])[0]
    category.setdefault("coding", [{"system": "http://loinc.org", "code": "LA27976-2", "display": "Encounter-focused care team"}])  # fmt: skip
    _reasons(each, dice, known)
    for participant in each.get("participant", ()):
        _put(participant, onBehalfOf=_HOSPITAL, period=each.get("period"))


def _reasons(each: Resource, dice: random.Random, known: Known) -> None:
    """One of the patient's conditions as the reason, as a code and by reference."""
    conditions = known.conditions.get(_owner(each), ())
    if conditions and dice.random() < 0.5:
        id_, code = dice.choice(conditions)
        each["reasonCode"] = [code]
        _put(each, reasonReference=[{"reference": f"Condition/{id_}"}])


def _imaging(each: Resource, dice: random.Random, known: Known) -> None:
    _reasons(each, dice, known)
    reader = _practitioner(dice, known)
    _put(each, referrer=_practitioner(dice, known), interpreter=[reader] if reader else None)
    _put(each, location={"reference": "Location/loc-hospital-main"})


def _immunization(each: Resource, dice: random.Random, _known: Known) -> None:
    _put(
        each,
        location={"reference": "Location/loc-hospital-main"},
        manufacturer={"reference": f"Organization/{MANUFACTURER}"},
    )
    if "lotNumber" in each:
        _put(
            each,
            expirationDate=f"{int(str(each['occurrenceDateTime'])[:4]) + 2}-{dice.randrange(1, 13):02}-28",
        )
    for protocol in each.get("protocolApplied", ())[:1]:
        protocol.setdefault("seriesDosesPositiveInt", max(3, protocol.get("doseNumberPositiveInt", 1)))


def _specimen(each: Resource, dice: random.Random, known: Known) -> None:
    _put(
        each,
        accessionIdentifier={"system": "urn:watershed:sample:accession", "value": f"ACC-{_digits(dice, 8)}"},
    )
    collection = each.setdefault("collection", {})
    amount = {"value": dice.randrange(2, 12), "unit": "mL", "system": _UCUM, "code": "mL"}
    _put(
        collection,
        collector=_practitioner(dice, known),
        quantity=amount,
        method=_coded(_SNOMED, "28520004", "Venipuncture for blood test"),
        bodySite=_coded(_SNOMED, "49852007", "Structure of median cubital vein"),
    )


def _service_request(each: Resource, dice: random.Random, known: Known) -> None:
    _reasons(each, dice, known)
    each.setdefault("performer", []).append(_HOSPITAL)


def _medication_request(each: Resource, dice: random.Random, known: Known) -> None:
    conditions = known.conditions.get(_owner(each), ())
    if conditions and dice.random() < 0.3:
        _put(each, reasonCode=[dice.choice(conditions)[1]])
    packs = {"value": dice.choice((14, 28, 90)), "unit": "tablet", "system": _UCUM, "code": "{tbl}"}
    supply = each.setdefault("dispenseRequest", {})
    _put(supply, quantity=packs)
    if "start" in supply.get("validityPeriod", {}):
        supply["validityPeriod"].setdefault("end", f"{int(supply['validityPeriod']['start'][:4]) + 1}-12-31")


def _report(each: Resource, _dice: random.Random, _known: Known) -> None:
    each.setdefault("performer", []).append(_HOSPITAL)


def _document(each: Resource, _dice: random.Random, _known: Known) -> None:
    for content in each.get("content", ())[:1]:
        content.get("attachment", {}).setdefault("url", f"https://documents.example.org/{each['id']}")


_DETAILS: Final[Mapping[str, Detail]] = {
    "Encounter": _encounter,
    "Organization": _organization,
    "Practitioner": _practitioner_details,
    "PractitionerRole": _role,
    "Location": _location,
    "Device": _device,
    "Patient": _patient,
    "Coverage": _coverage,
    "AllergyIntolerance": _allergy,
    "CareTeam": _care_team,
    "ImagingStudy": _imaging,
    "Immunization": _immunization,
    "Specimen": _specimen,
    "ServiceRequest": _service_request,
    "MedicationRequest": _medication_request,
    "DiagnosticReport": _report,
    "DocumentReference": _document,
}
