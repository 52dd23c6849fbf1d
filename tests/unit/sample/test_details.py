"""The details that the sample adds: derived from each resource alone, and pointing only at what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.sample.details import Known, detailed, write_details

Resource = dict[str, Any]

PEOPLE: dict[str, list[Resource]] = {
    "Practitioner": [{"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Stein"}]}],
    "Condition": [
        {
            "resourceType": "Condition",
            "id": f"{patient}-cond",
            "subject": {"reference": f"Patient/{patient}"},
            "code": {"text": f"condition of {patient}"},
        }
        for patient in ("a", "b")
    ],
    "Patient": [
        {
            "resourceType": "Patient",
            "id": patient,
            "gender": "female",
            "name": [{"family": "Doe", "given": ["Jo", "Ann"]}],
            "address": [{"line": ["1 Mill Street"], "city": "Lynn"}],
        }
        for patient in ("a", "b")
    ],
    "ServiceRequest": [
        {"resourceType": "ServiceRequest", "id": f"{patient}-{n}", "subject": {"reference": f"Patient/{patient}"}}
        for patient in ("a", "b")
        for n in range(12)
    ],
    "AllergyIntolerance": [{"resourceType": "AllergyIntolerance", "id": "none", "patient": {"reference": "Patient/a"}}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind, resources in PEOPLE.items():
        (tmp_path / f"{kind}.ndjson").write_text("".join(f"{json.dumps(each)}\n" for each in resources))
    return tmp_path


def _read(folder: Path) -> dict[str, list[Resource]]:
    return {
        file.stem: [json.loads(line) for line in file.read_text().splitlines()]
        for file in folder.glob("*.ndjson")
    }


def test_what_a_resource_says_itself_stays(folder: Path) -> None:
    write_details(folder)
    made = _read(folder)
    assert {kind: len(of) for kind, of in made.items()} == {kind: len(of) for kind, of in PEOPLE.items()}
    for kind, before in PEOPLE.items():
        for old, new in zip(before, made[kind], strict=True):
            assert {name: new[name] for name in old if name not in ("name", "address")}.items() <= old.items()
    first = made["Patient"][0]
    assert first["name"] == [
        {"family": "Doe", "given": ["Jo", "Ann"], "prefix": ["Ms."], "text": "Jo Ann Doe"}
    ]
    assert first["generalPractitioner"] == [{"reference": "Practitioner/dr"}]
    assert re.fullmatch(r"1\d{9}", made["Practitioner"][0]["identifier"][0]["value"])
    assert "onsetDateTime" not in made["AllergyIntolerance"][0], (
        "nobody is allergic since some day to nothing"
    )


def test_reasons_are_conditions_of_the_same_patient(folder: Path) -> None:
    write_details(folder)
    reasons = [each for each in _read(folder)["ServiceRequest"] if "reasonReference" in each]
    assert 0 < len(reasons) < len(PEOPLE["ServiceRequest"])
    for each in reasons:
        patient = each["subject"]["reference"].partition("/")[2]
        assert each["reasonReference"] == [{"reference": f"Condition/{patient}-cond"}]
        assert each["reasonCode"] == [{"text": f"condition of {patient}"}]


def test_details_depend_on_the_resource_alone(folder: Path) -> None:
    write_details(folder)
    whole = _read(folder)["Patient"]
    known = Known(("dr",))
    alone = [detailed(json.loads(json.dumps(each)), known) for each in PEOPLE["Patient"]]
    assert alone == whole


def test_a_service_is_coded_as_the_specialty_of_that_name() -> None:
    coding = {"system": "http://snomed.info/sct", "code": "394579002", "display": "Cardiology"}
    known = Known(specialties={"cardiology": coding})
    made = [
        detailed({"resourceType": "Encounter", "id": name, "serviceType": {"text": name}}, known)
        for name in ("Cardiology", "Cooking")
    ]
    assert [each["serviceType"].get("coding") for each in made] == [[coding], None]


def test_without_practitioners_or_conditions_nothing_is_made_up() -> None:
    made = detailed({"resourceType": "ImagingStudy", "id": "i"}, Known())
    assert not {"referrer", "interpreter", "reasonReference"} & made.keys()
