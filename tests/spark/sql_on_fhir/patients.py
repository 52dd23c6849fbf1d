"""A good patient with one element of every shape, and the view that reads them all."""

from __future__ import annotations

import json
from typing import Any

VIEW: dict[str, Any] = {
    "name": "patients",
    "resource": "Patient",
    "select": [
        {
            "column": [
                {"name": name, "path": path, "collection": True}
                for name, path in {
                    "id": "getResourceKey()",
                    "active": "active",
                    "gender": "gender",
                    "birth": "birthDate",
                    "birth_time": "birthDate.extension('time').value.ofType(string)",
                    "births": "multipleBirth.ofType(integer)",
                    "family": "name.family",
                    "given": "name.given",
                    "given_id": "name.given.id",
                    "phone": "telecom.value",
                    "rank": "telecom.rank",
                    "since": "telecom.period.start",
                    "ward": "contained.ofType(Organization).name",
                    "link": "link.other.getReferenceKey(Patient)",
                }.items()
            ]
        }
    ],
}


def patient(identifier: str = "p") -> dict[str, Any]:
    """A patient whose row has something in every column."""
    return {
        "resourceType": "Patient",
        "id": identifier,
        "contained": [
            {"resourceType": "Organization", "id": "o", "name": "Ward"},
            {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Dee"}]},
        ],
        "active": True,
        "name": [
            {"family": "Berg", "given": ["Ann", None, "10"], "_given": [None, {"id": "g"}, None]},
            {"family": "B{o}rg", "given": ["[x]"]},
        ],
        "telecom": [{"value": "10", "rank": 1, "period": {"start": "2020"}}, {"value": "true", "rank": 2}],
        "gender": "female",
        "birthDate": "1980-01-31",
        "_birthDate": {"extension": [{"url": "time", "valueString": "dawn"}]},
        "multipleBirthInteger": 2,
        "link": [{"other": {"reference": "Patient/twin"}, "type": "seealso"}],
        "unknown": {"element": [1.50, None, "x"]},
    }


def row(identifier: str = "p") -> dict[str, Any]:
    """The row of that patient."""
    return {
        "id": [identifier],
        "active": [True],
        "gender": ["female"],
        "birth": ["1980-01-31"],
        "birth_time": ["dawn"],
        "births": [2],
        "family": ["Berg", "B{o}rg"],
        "given": ["Ann", "10", "[x]"],
        "given_id": ["g"],
        "phone": ["10", "true"],
        "rank": [1, 2],
        "since": ["2020"],
        "ward": ["Ward"],
        "link": ["twin"],
    }


def changed(replacements: dict[str, str], identifier: str = "p") -> str:
    """The line of that patient with pieces of its text replaced."""
    line = json.dumps(patient(identifier))
    for old, new in replacements.items():
        assert old in line, old
        line = line.replace(old, new)
    return line
