"""Resources in which every element of the R4 model has a value: what no column of a view may miss.

They say nothing sensible, but a path that finds nothing here finds nothing anywhere.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from schemas.fhir import element_model
from schemas.fhir.element_model import Element
from schemas.view import View

Json = dict[str, Any]

_MODEL = element_model()
_DEPTH = 5
_LEFT_OUT = {"id", "meta", "extension", "modifierExtension", "contained", "implicitRules"}
_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
_NPI, _DICOM = "http://hl7.org/fhir/sid/us-npi", "urn:dicom:uid"
_PRIMITIVES: Json = {
    "boolean": True,
    "integer": 3,
    "positiveInt": 1,
    "unsignedInt": 2,
    "decimal": 1.5,
    "time": "08:30:00",
    "base64Binary": "AAAA",
    **dict.fromkeys(("uri", "url", "canonical"), "http://example.org/x"),
}
_CODES = {
    "Observation.status": "final",
    "MedicationAdministration.status": "completed",
    "MedicationDispense.status": "completed",
    "MedicationRequest.intent": "order",
    "Procedure.status": "completed",
    "Patient.gender": "female",
    "Encounter.status": "finished",
    "status": "active",
}


def complete_resources(views: Iterable[View], each: int = 16) -> Iterator[Json]:
    """``each`` resources of every type that has a view; a choice and a reference take the next type in each."""
    targets: dict[str, set[str]] = {}
    for view in views:
        names = {column.references for column in view.columns}
        targets.setdefault(view.resource, set()).update(name for name in names if name)
    for kind, referred in targets.items():
        maker = _Maker(kind, sorted(referred) or ["Patient"])
        yield from (maker.resource(number) for number in range(each))


def identity(kind: str, number: int = 0) -> str:
    return f"{kind.lower()}-{number}"


class _Maker:
    """Makes resources of one type; knows which type each choice and each reference took last."""

    def __init__(self, kind: str, targets: list[str]) -> None:
        self.kind = kind
        self.targets = targets
        self.turns: dict[str, int] = {}
        self.day = date(2026, 1, 1)

    def resource(self, number: int) -> Json:
        self.day = date(2026, 1, 1) + timedelta(days=number)
        return {
            "resourceType": self.kind,
            "id": identity(self.kind, number),
            "meta": {"lastUpdated": f"{self.day}T08:30:00Z"},
            **self._structure(self.kind, self.kind, 0),
        }

    def _next(self, path: str, choices: Any) -> Any:
        turn = self.turns.get(path, -1) + 1
        self.turns[path] = turn
        return choices[turn % len(choices)]

    def _structure(self, kind: str, path: str, depth: int) -> Json:
        made: Json = {}
        for element in _elements(kind):
            special = _sought(kind, element.name)
            if special is not None:
                made[element.name] = special
            elif element.name not in _LEFT_OUT and depth < _DEPTH:
                type_name = self._next(path + element.name, element.types)
                value = self._value(type_name, f"{path}.{element.name}", depth + 1)
                if value is not None:
                    made[element.key(type_name)] = _as_often(element, value)
        return made

    def _value(self, kind: str, path: str, depth: int) -> Any:
        if kind == "Reference":
            return self._references(path)
        makers: dict[str, Callable[[], Any]] = {
            "ContactPoint": self._contacts,
            "Identifier": self._identifiers,
            "Period": self._period,
            "date": lambda: f"{self.day}",
            "dateTime": lambda: f"{self.day}T08:30:00Z",
            "instant": lambda: f"{self.day}T08:30:00Z",
            "Narrative": lambda: None,
        }
        if kind in makers:
            return makers[kind]()
        if kind == "code":
            return _CODES.get(path, _CODES.get(path.rpartition(".")[2], "code"))
        return (
            _PRIMITIVES.get(kind, "text") if _MODEL.is_primitive(kind) else self._structure(kind, path, depth)
        )

    def _references(self, path: str) -> list[Json]:
        """One to each type, for an element that repeats; the first alone is taken by one that does not."""
        if path.rpartition(".")[2] in ("subject", "patient", "beneficiary"):
            return [{"reference": f"Patient/{identity('Patient')}"}]
        first = self._next(f"{path} to", range(len(self.targets)))
        turned = self.targets[first:] + self.targets[:first]
        return [{"reference": f"{each}/{identity(each)}", "display": each} for each in turned]

    def _period(self) -> Json:
        # The night is over before the next resource's begins.
        return {"start": f"{self.day}T08:30:00Z", "end": f"{self.day + timedelta(days=1)}T08:00:00Z"}

    def _contacts(self) -> list[Json]:
        shared = {"value": "1", "use": "home", "rank": 1, "period": self._period()}
        return [{"system": each, **shared} for each in ("phone", "email")]

    def _identifiers(self) -> list[Json]:
        organization = {"reference": f"Organization/{identity('Organization')}"}
        shared = {"use": "usual", "type": _concept("MR"), "value": "v", "assigner": organization}
        return [{"system": each, **shared, "period": self._period()} for each in (_NPI, _DICOM)]


def _sought(kind: str, name: str) -> Any:
    """The elements in which paths look for a value: what they look for; None for all others."""
    target = {"reference": f"{kind}/{identity(kind)}"}
    amount = {"value": 1.5, "currency": "USD"}
    priced = ("submitted", "copay", "eligible", "deductible", "benefit")
    sought: Json = {
        "Patient.extension": _us_core(),
        "Condition.clinicalStatus": _concept("active"),
        "MedicationRequest.doNotPerform": False,
        "Encounter.class": {"system": "s", "code": "IMP", "display": "d"},
        "Coverage.class": [{"type": _concept(code), "value": "v", "name": "n"} for code in ("group", "plan")],
        "DocumentReference.relatesTo": [{"code": code, "target": target} for code in ("replaces", "appends")],
    }
    if name in ("total", "adjudication") and kind.startswith("ExplanationOfBenefit"):
        return [{"category": _concept(code), "amount": amount} for code in priced]
    return sought.get(f"{kind}.{name}")


def _as_often(element: Element, value: Any) -> Any:
    """A list where the element repeats, else one; what is made once is there twice, for rows to be told apart."""
    if element.repeats:
        return value if isinstance(value, list) else [value, copy.deepcopy(value)]
    return value[0] if isinstance(value, list) else value


def _elements(kind: str) -> Iterator[Element]:
    """Of a type and its bases, once each."""
    seen: set[str] = set()
    current: str | None = kind
    while current:
        info = _MODEL.types[current]
        for name, element in info.elements.items():
            if name not in seen:
                seen.add(name)
                yield element
        current = info.base


def _concept(code: str) -> Json:
    return {"coding": [{"system": "s", "code": code, "display": "d"}], "text": "t"}


def _us_core() -> list[Json]:
    coding = {"system": "s", "code": "c", "display": "d"}
    parts = [{"url": "ombCategory", "valueCoding": coding}, {"url": "text", "valueString": "t"}]
    nested = [{"url": f"{_US_CORE}/us-core-{name}", "extension": parts} for name in ("race", "ethnicity")]
    return [*nested, {"url": f"{_US_CORE}/us-core-birthsex", "valueCode": "F"}]
