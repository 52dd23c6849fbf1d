"""Whatever in the sources tells who a patient is, and where it shows up in files that should not know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from local.sample.changes import Sources
from local.sample.items import REGISTRY

_SHORTEST = 4
"""Of the texts that are looked for: shorter ones are found in any log by chance."""


def personal_values(sources: Sources) -> set[str]:
    """Names, birth dates, addresses, phone numbers and identifiers of all patients, from both sources."""
    found: set[str] = set()
    for patient in sources.of_type("Patient"):
        found |= set(_texts(patient.get("name", ())))
        found |= set(_texts([each.get("value") for each in patient.get("telecom", ())]))
        found |= set(_texts([each.get("value") for each in patient.get("identifier", ())]))
        found |= set(
            _texts([{**each, "country": None, "state": None} for each in patient.get("address", ())])
        )
        found |= set(_texts(patient.get("birthDate")))
        # Ids are what logs may hold; some generators use them as an identifier as well.
        found.discard(patient["id"])
    for item in sources.items[REGISTRY]:
        found |= {str(item[name]) for name in ("line", "city", "postalCode") if item.get(name)}
    return {each for each in found if len(each) >= _SHORTEST and each.lower() not in _CODES}


_CODES = {"official", "usual", "home", "work", "mobile", "phone", "email", "both", "physical", "postal"}
"""Values of FHIR's own code systems, which say nothing of anybody."""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def found_in(values: Iterable[str], text: str) -> set[str]:
    """Those of the values that the text holds as words of their own, in any case."""
    every = sorted(values, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, every))})(?!\w)", re.IGNORECASE)
    return {match.group() for match in pattern.finditer(text)}
