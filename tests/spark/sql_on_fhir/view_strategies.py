"""Hypothesis strategies: random patients, and random views of them that are valid by construction."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
_TEXTS = ["A", "b", "x y", "it's", "10", 'q"', "\u00e9"]
_LISTS = 2


@dataclass(frozen=True)
class Step:
    """One part of a path: its text, the type it gives, and whether it can give several."""

    text: str
    type: str
    repeats: bool = False


def _elements(**elements: str) -> list[Step]:
    return [Step(name, kind.removesuffix("*"), kind.endswith("*")) for name, kind in elements.items()]


ELEMENTS: dict[str, list[Step]] = {
    "Patient": [
        *_elements(
            active="boolean", gender="string", birthDate="date", name="HumanName*", contact="Contact*"
        ),
        *_elements(telecom="ContactPoint*", address="Address*", extension="Extension*"),
        *_elements(generalPractitioner="Reference*", managingOrganization="Reference"),
        Step("deceased.ofType(boolean)", "boolean"),
        Step("multipleBirth.ofType(integer)", "integer"),
        Step("extension('u1')", "Extension", repeats=True),
    ],
    "HumanName": _elements(use="string", family="string", given="string*", period="Period"),
    "ContactPoint": _elements(system="string", value="string", rank="integer"),
    "Contact": _elements(
        name="HumanName", telecom="ContactPoint*", gender="string", organization="Reference"
    ),
    "Address": _elements(city="string", line="string*", period="Period"),
    "Period": _elements(start="string"),
    "Reference": [
        *_elements(display="string"),
        Step("getReferenceKey()", "string"),
        Step("getReferenceKey(Practitioner)", "string"),
    ],
    "Extension": [
        *_elements(url="string", extension="Extension*"),
        Step("value.ofType(string)", "string"),
        Step("value.ofType(integer)", "integer"),
        Step("value.ofType(decimal)", "decimal"),
    ],
}


def _paths(type_name: str, depth: int) -> list[tuple[Step, ...]]:
    found: list[tuple[Step, ...]] = []
    for step in ELEMENTS.get(type_name, ()):
        found.append((step,))
        if depth > 1:
            found += [(step, *rest) for rest in _paths(step.type, depth - 1)]
    return found


PATHS = {name: _paths(name, 3) for name in ELEMENTS}


# Resources ----------------------------------------------------------------------------------------------------


def _value(draw: Draw, kind: str, depth: int) -> Any:  # noqa: PLR0911
    match kind:
        case "boolean":
            return draw(st.booleans())
        case "integer":
            return draw(st.integers(1, 3))
        case "decimal":
            return draw(st.sampled_from([1.5, 0.25, 12]))
        case "date":
            return draw(st.sampled_from(["1980-01-31", "1999-12-01", "2020-02-29"]))
        case "string":
            return draw(st.sampled_from(_TEXTS))
        case "Reference":
            reference = draw(
                st.sampled_from(["Practitioner/p1", "Organization/o1", "#x", "urn:uuid:1", None])
            )
            return {"reference": reference} if reference else {"display": draw(st.sampled_from(_TEXTS))}
        case "Extension":
            return _extension(draw, depth)
    found = {}
    for step in ELEMENTS[kind]:
        if step.text.isalnum() and draw(st.integers(0, 2)) > 0:
            found[step.text] = _many(draw, step, depth)
    return found


def _many(draw: Draw, step: Step, depth: int) -> Any:
    if not step.repeats:
        return _value(draw, step.type, depth - 1)
    if depth <= 0:
        return []
    items = [_value(draw, step.type, depth - 1) for _ in range(draw(st.integers(0, _LISTS)))]
    if step.type == "string" and items and draw(st.integers(0, 3)) == 0:
        items.insert(0, None)  # the slot of a primitive that has only an extension
    return items


def _extension(draw: Draw, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"url": draw(st.sampled_from(["u1", "u2"]))}
    if depth > 0 and draw(st.booleans()):
        return {**found, "extension": [_extension(draw, depth - 1)]}
    kind = draw(st.sampled_from(["string", "integer", "decimal"]))
    return {**found, "value" + kind.capitalize(): _value(draw, kind, 0)}


@st.composite
def patients(draw: Draw, count: int) -> list[dict[str, Any]]:
    """Patients of every degree of emptiness, and one resource of another type."""
    found: list[dict[str, Any]] = [{"resourceType": "Observation", "id": "other"}]
    for index in range(count):
        patient = {"resourceType": "Patient", "id": f"p{index}", **_value(draw, "Patient", 3)}
        if draw(st.booleans()):
            patient["deceasedBoolean"] = draw(st.booleans())
        if draw(st.booleans()):
            patient["multipleBirthInteger"] = draw(st.integers(1, 3))
        found.append(patient)
    return found


# Expressions --------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _path(draw: Draw, context: str, types: set[str], depth: int) -> tuple[str, bool]:
    """A path to one of some types, and whether it can give several."""
    fitting = [path for path in PATHS[context] if path[-1].type in types]
    steps = draw(st.sampled_from(fitting or [(Step("$this", context),)]))
    texts, many = [], False
    for step in steps:
        text, many = step.text, many or step.repeats
        if many and draw(st.integers(0, 2)) == 0:
            suffix, many = _suffix(draw, step, depth)
            text += suffix
        texts.append(text)
    return ".".join(texts), many


def _suffix(draw: Draw, step: Step, depth: int) -> tuple[str, bool]:
    """What chooses among several items, and whether several can be left."""
    choice = draw(st.integers(0, 7))
    if choice < 4:
        return (".first()", ".last()", "[0]", "[1]")[choice], False
    if choice < 6 or depth <= 0:
        return (".skip(1)", ".take(1)", ".tail()")[choice % 3], True
    if step.type in ELEMENTS:
        return f".where({_condition(draw, step.type, depth - 1)})", True
    if step.type == "string":
        return f".where($this != {_quoted(draw(st.sampled_from(_TEXTS)))})", True
    return "", True


def _single(draw: Draw, context: str, kind: str, depth: int) -> str:
    text, many = _path(draw, context, {kind}, depth)
    return f"{text}.first()" if many else text


def _has(context: str, kind: str) -> bool:
    return any(path[-1].type == kind for path in PATHS[context])


def _condition(draw: Draw, context: str, depth: int) -> str:  # noqa: PLR0911
    """An expression that gives a boolean or nothing."""
    choice = draw(st.integers(0, 9 if depth > 0 else 5))
    if choice >= 8:
        operator = draw(st.sampled_from(["and", "or"]))
        left, right = _condition(draw, context, depth - 1), _condition(draw, context, depth - 1)
        return f"(({left}) {operator} ({right}))"
    if choice == 7:
        return f"({_condition(draw, context, depth - 1)}).not()"
    if choice == 6 and any(path[-1].type in ELEMENTS for path in PATHS[context]):
        path, _ = _path(draw, context, set(ELEMENTS), depth - 1)
        inner = _type_of(context, path)
        if inner is not None:
            test = draw(st.sampled_from(["exists", "all"]))
            return f"{path}.{test}({_condition(draw, inner, depth - 1)})"
    if choice == 5 and _has(context, "integer"):
        operator = draw(st.sampled_from(["<", "<=", ">", ">=", "=", "!="]))
        return f"{_single(draw, context, 'integer', 0)} {operator} {draw(st.integers(1, 3))}"
    if choice == 4 and _has(context, "boolean"):
        return _single(draw, context, "boolean", 0)
    if choice == 3 and _has(context, "date"):
        operator = draw(st.sampled_from(["<", ">=", "="]))
        return f"{_single(draw, context, 'date', 0)} {operator} @1999-12-01"
    path, many = _path(draw, context, {"string"}, depth)
    if choice == 2:
        return f"{path}.{draw(st.sampled_from(['exists', 'empty']))}()"
    text = draw(st.sampled_from([*map(_quoted, _TEXTS), "%name"]))
    if many and choice == 1:
        return f"{text} in {path}"
    return f"{path} {draw(st.sampled_from(['=', '!=']))} {text}"


def _type_of(context: str, path: str) -> str | None:
    """The type of a plain path, None where it has conditions that make it hard to tell."""
    for steps in PATHS[context]:
        if ".".join(step.text for step in steps) == path:
            return steps[-1].type
    return None


def _column(draw: Draw, context: str, name: str, kind: str | None = None) -> dict[str, Any]:  # noqa: PLR0911
    """A column; of a given kind where branches of a union must agree."""
    if context not in ELEMENTS:
        return {"name": name, "path": "$this"}
    kind = kind or draw(st.sampled_from(["string", "string", "integer", "decimal", "count", "test", "row"]))
    if kind == "row":
        return {"name": name, "path": "%rowIndex"}
    if kind == "test":
        return {"name": name, "path": _condition(draw, context, 2)}
    if kind == "count" or not _has(context, kind):
        path, _ = _path(draw, context, {"string", *ELEMENTS} - {"Period"}, 1)
        if kind == "string":
            return {"name": name, "path": "'none'"}
        return {"name": name, "path": f"{path}.count()" if kind != "decimal" else "1.5"}
    path, many = _path(draw, context, {kind}, 2)
    if not many:
        return {"name": name, "path": path}
    choice = draw(st.integers(0, 9))
    if choice < 4:
        return {"name": name, "path": f"{path}.first()"}
    if choice < 6 and kind == "string":
        return {"name": name, "path": f"{path}.join('|')"}
    return {"name": name, "path": path, "collection": True} if choice < 9 else {"name": name, "path": path}


# Views --------------------------------------------------------------------------------------------------------


def _select(draw: Draw, context: str, names: Any, depth: int) -> dict[str, Any]:
    select: dict[str, Any] = {}
    if context in ELEMENTS and draw(st.booleans()):
        context = _iterate(draw, select, context)
    select["column"] = [_column(draw, context, next(names)) for _ in range(draw(st.integers(1, 2)))]
    if depth > 0 and context in ELEMENTS:
        if draw(st.booleans()):
            select["select"] = [_select(draw, context, names, depth - 1)]
        if draw(st.integers(0, 2)) == 0:
            select["unionAll"] = _union(draw, context, names)
    return select


def _iterate(draw: Draw, select: dict[str, Any], context: str) -> str:
    """Let a select iterate; the type of its items."""
    if context in ("Patient", "Extension") and draw(st.integers(0, 5)) == 0:
        select["repeat"] = ["extension"]
        return "Extension"
    steps = draw(st.sampled_from([p for p in PATHS[context] if p[-1].type in {*ELEMENTS, "string"}]))
    path = ".".join(step.text for step in steps)
    if any(step.repeats for step in steps) and steps[-1].type in ELEMENTS and draw(st.integers(0, 3)) == 0:
        path += f".where({_condition(draw, steps[-1].type, 1)})"
    select[draw(st.sampled_from(["forEach", "forEachOrNull"]))] = path
    return steps[-1].type


def _union(draw: Draw, context: str, names: Any) -> list[dict[str, Any]]:
    columns = [
        (next(names), draw(st.sampled_from(["string", "count"]))) for _ in range(draw(st.integers(1, 2)))
    ]
    branches = []
    for _ in range(draw(st.integers(1, 3))):
        branch: dict[str, Any] = {}
        inner = _iterate(draw, branch, context) if draw(st.integers(0, 3)) else context
        branch["column"] = [_branch_column(draw, inner, name, kind) for name, kind in columns]
        branches.append(branch)
    return branches


def _branch_column(draw: Draw, context: str, name: str, kind: str) -> dict[str, Any]:
    """Never a collection: the branches of a union must agree about that."""
    if context not in ELEMENTS:
        return {"name": name, "path": "$this" if kind == "string" else "$this.count()"}
    column = _column(draw, context, name, kind)
    if column.pop("collection", False):
        column["path"] += ".first()"
    return column


@st.composite
def views(draw: Draw) -> dict[str, Any]:
    """A view of Patient."""
    names = (f"c{number}" for number in itertools.count(1))
    selects = [{"column": [{"name": "id", "path": "getResourceKey()"}]}]
    selects += [_select(draw, "Patient", names, 2) for _ in range(draw(st.integers(1, 2)))]
    wheres = [{"path": _condition(draw, "Patient", 2)} for _ in range(draw(st.integers(0, 1)))]
    return {
        "resource": "Patient",
        "constant": [{"name": "name", "valueString": draw(st.sampled_from(_TEXTS))}],
        "select": selects,
        "where": wheres,
    }
