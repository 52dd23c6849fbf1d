"""The FHIR R4 element model: for every type, its elements, their types and whether they repeat.

Read from `r4.json` (see `derive.py`). Lookups are by type name, and a nested structure is a type named by its
path (`Patient.contact`), so walking a path is `model.element(type, name)` again and again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

_DATA = Path(__file__).with_name("r4.json")


@dataclass(frozen=True)
class Element:
    """One element of a type; `types` has several members only where `choice` is true."""

    name: str
    types: tuple[str, ...]
    repeats: bool
    choice: bool

    def key(self, type_name: str) -> str:
        """The JSON key that holds this element when its value is of `type_name` (`valueQuantity`)."""
        return self.name + type_name[0].upper() + type_name[1:] if self.choice else self.name


@dataclass(frozen=True)
class TypeInfo:
    """One type; `kind` is primitive, type, structure (nested in another type) or resource."""

    name: str
    kind: str
    base: str | None
    elements: Mapping[str, Element]


@dataclass(frozen=True)
class ElementModel:
    """All types of one FHIR version."""

    fhir_version: str
    types: Mapping[str, TypeInfo]

    def element(self, type_name: str, name: str) -> Element | None:
        """The element `name` of `type_name`; None where there is none (`value` finds `value[x]`)."""
        info = self.types.get(type_name)
        return info.elements.get(name) if info else None

    def is_primitive(self, type_name: str) -> bool:
        return type_name in self.types and self.types[type_name].kind == "primitive"

    def is_resource(self, type_name: str) -> bool:
        """True for types that occur as a resource (`Resource` and `DomainResource` are only their bases)."""
        return type_name in self.resource_types

    def is_a(self, type_name: str, ancestor: str) -> bool:
        """True if `type_name` is `ancestor` or derives from it."""
        current: str | None = type_name
        while current:
            if current == ancestor:
                return True
            info = self.types.get(current)
            current = info.base if info else None
        return False

    @cached_property
    def resource_types(self) -> frozenset[str]:
        bases = {info.base for info in self.types.values() if info.kind == "resource"}
        return frozenset(n for n, info in self.types.items() if info.kind == "resource" and n not in bases)


def _parse_type(name: str, line: str) -> TypeInfo:
    head, *parts = line.split(" | ")
    kind, _, base = head.partition(" ")
    elements = {}
    for part in parts:
        label, _, types = part.partition(":")
        repeats, choice = label.endswith("*"), label.endswith("[x]")
        plain = label.removesuffix("*").removesuffix("[x]")
        elements[plain] = Element(plain, tuple(types.split(",")), repeats, choice)
    return TypeInfo(name, kind, base or None, elements)


@cache
def element_model() -> ElementModel:
    """The R4 model, read once per process (about 15 ms)."""
    document = json.loads(_DATA.read_text(encoding="utf-8"))
    types = {name: _parse_type(name, line) for name, line in document["types"].items()}
    return ElementModel(document["fhirVersion"], types)
