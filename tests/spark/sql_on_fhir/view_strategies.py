"""Hypothesis strategies: random patients, and random views of them that are valid by construction."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]
_TEXTS = ["A", "b", "x y", "it's", "10", 'q"', "\u00e9"]
_DATES = ["1980", "1980-02", "1980-01-31", "1999-12-01", "2020-02-29"]
_TIMES = [*_DATES, "1999-12-01T10:00:00Z", "2020-02-29T23:59:59Z"]
_REFERENCES = [
    *("Practitioner/p1", "Organization/o1", "Practitioner/p2/_history/3", "#x", "urn:uuid:1"),
    *("http://x.org/Practitioner/p1", "Practitioner?identifier=x", "Practitioner/", None),
]
# A constant of each type that there is.
CONSTANTS: dict[str, list[Any]] = {
    **{name: ["A", "b", "10"] for name in ("String", "Code", "Uri", "Url", "Canonical")},
    **{name: [1, 2] for name in ("Integer", "PositiveInt", "UnsignedInt")},
    **{"Id": ["A", "b"], "Oid": ["urn:oid:1.2.3"], "Uuid": ["urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"]},
    **{"Base64Binary": ["QQ=="], "Boolean": [True, False], "Integer64": ["1", "9007199254740993"]},
    **{"Decimal": [1.5, 0.25], "Date": _DATES, "DateTime": _TIMES, "Time": ["10:30:00"]},
    "Instant": ["1999-12-01T10:00:00Z"],
}
_FAMILIES = {
    "string": ["String", "Code", "Uri", "Url", "Canonical", "Id"],
    "integer": ["Integer", "PositiveInt", "UnsignedInt"],
    "decimal": ["Decimal"],
    "boolean": ["Boolean"],
    "date": ["Date"],
    "dateTime": ["DateTime", "Instant"],
}
_LISTS = 2


def _pick(draw: Draw, options: Sequence[T]) -> T:
    """One of the options."""
    found: T = draw(st.sampled_from(options))
    return found


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
        Step("birthDate.extension('u1')", "Extension", repeats=True),
    ],
    "HumanName": _elements(use="string", family="string", given="string*", period="Period"),
    "ContactPoint": _elements(system="string", value="string", rank="integer"),
    "Contact": _elements(
        name="HumanName", telecom="ContactPoint*", gender="string", organization="Reference"
    ),
    "Address": _elements(city="string", line="string*", period="Period"),
    "Period": _elements(start="dateTime", end="dateTime"),
    "Reference": [
        *_elements(display="string"),
        Step("getReferenceKey()", "string"),
        Step("getReferenceKey(Practitioner)", "string"),
    ],
    "Extension": [
        *_elements(url="string", extension="Extension*"),
        Step("value.ofType(string)", "string"),
        Step("value.as(string)", "string"),
        Step("value.ofType(integer)", "integer"),
        Step("value.ofType(decimal)", "decimal"),
        Step("value.ofType(boolean)", "boolean"),
        Step("value.ofType(dateTime)", "dateTime"),
        Step("value.ofType(Period)", "Period"),
        Step("value.ofType(Reference)", "Reference"),
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
            return _pick(draw, [1.5, 0.25, 12])
        case "date":
            return _pick(draw, _DATES)
        case "dateTime":
            return _pick(draw, _TIMES)
        case "string":
            return _pick(draw, _TEXTS)
        case "Reference":
            reference = _pick(draw, _REFERENCES)
            return {"reference": reference} if reference else {"display": _pick(draw, _TEXTS)}
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
    found: dict[str, Any] = {"url": _pick(draw, ["u1", "u2"])}
    if depth > 0 and draw(st.booleans()):
        return {**found, "extension": [_extension(draw, depth - 1)]}
    kind = _pick(draw, ["string", "integer", "decimal", "boolean", "dateTime", "Period", "Reference"])
    return {**found, "value" + kind[0].upper() + kind[1:]: _value(draw, kind, 1)}


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
        if draw(st.integers(0, 2)) == 0:
            patient["_birthDate"] = {"extension": [_extension(draw, 1)]}
        found.append(patient)
    return found


# Expressions --------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _path(draw: Draw, context: str, types: set[str], depth: int) -> tuple[str, bool]:
    """A path to one of some types, and whether it can give several."""
    fitting = [path for path in PATHS[context] if path[-1].type in types]
    steps = _pick(draw, fitting or [(Step("$this", context),)])
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
        return f".where($this != {_quoted(_pick(draw, _TEXTS))})", True
    return "", True


def _single(draw: Draw, context: str, kind: str, depth: int) -> str:
    text, many = _path(draw, context, {kind}, depth)
    return f"{text}.first()" if many else text


def _has(context: str, kind: str) -> bool:
    return any(path[-1].type == kind for path in PATHS[context])


def _condition(draw: Draw, context: str, depth: int) -> str:
    """An expression that gives a boolean or nothing."""
    tests = [_existence, _equality, _membership, _of_boolean, _of_number, _of_text, _of_date]
    return _pick(draw, [*tests, *([_logic, _logic, _of_items, _negation] if depth > 0 else [])])(
        draw, context, depth
    )


def _existence(draw: Draw, context: str, depth: int) -> str:
    path, _ = _path(draw, context, {"string", "integer", "Period", "Extension", "date"}, depth)
    if context == "Extension" and draw(st.booleans()):
        return _pick(draw, ["value.exists()", "value.empty()", "value is string", "value.is(Period)"])
    return f"{path}.{_pick(draw, ['exists', 'empty'])}()"


def _equality(draw: Draw, context: str, depth: int) -> str:
    path, _ = _path(draw, context, {"string"}, depth)
    return f"{path} {_pick(draw, ['=', '!='])} {_text(draw)}"


def _text(draw: Draw) -> str:
    return _pick(draw, [*map(_quoted, _TEXTS), *_constants("string")])


def _membership(draw: Draw, context: str, depth: int) -> str:
    path, _ = _path(draw, context, {"string"}, depth)
    test = _pick(draw, ["{text} in {path}", "{path} contains {text}"])
    return test.format(text=_text(draw), path=path)


def _of_boolean(draw: Draw, context: str, depth: int) -> str:
    if not _has(context, "boolean"):
        return "%rowIndex = 0"
    test = _pick(draw, ["{}", "({} = {constant})", "{}.not()"])
    constant = _pick(draw, _constants("boolean"))
    return test.format(_single(draw, context, "boolean", 0), constant=constant)


def _of_number(draw: Draw, context: str, depth: int) -> str:
    operator = _pick(draw, ["<", "<=", ">", ">=", "=", "!="])
    left, right = _number(draw, context, depth), _number(draw, context, 0)
    return f"{left} {operator} {right}"


def _of_text(draw: Draw, context: str, depth: int) -> str:
    if not _has(context, "string"):
        return "'a' <= 'b'"
    text = _single(draw, context, "string", 0)
    test = _pick(draw, ["{}.startsWith({})", "{}.endsWith({})", "{}.contains({})", "{} < {}", "{} >= {}"])
    return test.format(text, _text(draw))


def _of_date(draw: Draw, context: str, depth: int) -> str:
    kind = _pick(draw, ["date", "dateTime"])
    if not _has(context, kind):
        return "{} or true"
    literals = [f"@{text}" for text in _DATES] + _constants("date") + _constants("dateTime")
    operator = _pick(draw, ["<", "<=", ">", ">=", "=", "!="])
    return f"{_single(draw, context, kind, 0)} {operator} {_pick(draw, literals)}"


def _logic(draw: Draw, context: str, depth: int) -> str:
    operator = _pick(draw, ["and", "or", "xor", "implies"])
    left, right = _condition(draw, context, depth - 1), _condition(draw, context, depth - 1)
    return f"(({left}) {operator} ({right}))"


def _negation(draw: Draw, context: str, depth: int) -> str:
    return f"({_condition(draw, context, depth - 1)}).not()"


def _of_items(draw: Draw, context: str, depth: int) -> str:
    """`exists` and `all` with criteria."""
    path, _ = _path(draw, context, set(ELEMENTS), 0)
    inner = _type_of(context, path)
    if inner is None:
        return f"{path}.exists()"
    test = _pick(draw, ["exists", "all"])
    return f"{path}.{test}({_condition(draw, inner, depth - 1)})"


def _constants(kind: str) -> list[str]:
    return [f"%c{name}" for name in _FAMILIES[kind]]


def _number(draw: Draw, context: str, depth: int) -> str:
    """A whole number: `/` and decimals would need the rounding of Spark in the reference."""
    simple = ["%rowIndex", "1", "3", *_constants("integer")]
    if _has(context, "integer") and draw(st.booleans()):
        simple = [_single(draw, context, "integer", 0)]
    number = _pick(draw, simple)
    if depth <= 0 or draw(st.booleans()):
        return number
    operator = _pick(draw, ["+", "-", "*", "div", "mod"])
    return f"({number} {operator} {_number(draw, context, depth - 1)})"


def _type_of(context: str, path: str) -> str | None:
    """The type of a plain path, None where it has conditions that make it hard to tell."""
    for steps in PATHS[context]:
        if ".".join(step.text for step in steps) == path:
            return steps[-1].type
    return None


def _column(draw: Draw, context: str, name: str, kind: str | None = None) -> dict[str, Any]:
    """A column; of a given kind where branches of a union must agree."""
    if context not in ELEMENTS:
        return {"name": name, "path": "$this"}
    kind = kind or _pick(draw, sorted(_KINDS))
    return {"name": name, **_KINDS[kind](draw, context)}


def _plain_column(kind: str) -> Callable[[Draw, str], dict[str, Any]]:
    """A path: one of its values, all of them in one way or another, or an error where there are several."""

    def column(draw: Draw, context: str) -> dict[str, Any]:
        if not _has(context, kind):
            return {"path": _pick(draw, _constants(kind))}
        path, many = _path(draw, context, {kind}, 2)
        if not many:
            return {"path": path}
        choice = draw(st.integers(0, 9))
        if choice < 4:
            return {"path": f"{path}.first()"}
        if choice < 6 and kind == "string":
            return {"path": f"{path}.join({_pick(draw, ['', _quoted('|')])})"}
        if choice == 6 and kind == "string":
            return {"path": f"{path}.distinct()", "collection": True}
        return {"path": path, "collection": True} if choice < 9 else {"path": path}

    return column


def _count_column(draw: Draw, context: str) -> dict[str, Any]:
    path, _ = _path(draw, context, {"string", *ELEMENTS} - {"Period"}, 1)
    return {"path": f"{path}.count()"}


def _number_column(draw: Draw, context: str) -> dict[str, Any]:
    return {"path": _number(draw, context, 2)}


def _test_column(draw: Draw, context: str) -> dict[str, Any]:
    return {"path": _condition(draw, context, 2)}


def _text_column(draw: Draw, context: str) -> dict[str, Any]:
    text = _single(draw, context, "string", 0) if _has(context, "string") else "'none'"
    other = _pick(draw, [_text(draw), text])
    form = _pick(draw, _TEXT_FORMS)
    return {"path": form.format(text, other=other, test=_condition(draw, context, 0))}


def _boundary_column(draw: Draw, context: str) -> dict[str, Any]:
    kind = _pick(draw, ["date", "dateTime", "integer", "decimal"])
    paths = [p for p in PATHS[context] if p[-1].type == kind and not any(step.repeats for step in p)]
    value = ".".join(step.text for step in _pick(draw, paths)) if paths else "1.50"
    return {"path": f"{value}.{_pick(draw, ['lowBoundary', 'highBoundary'])}()"}


def _constant_column(draw: Draw, context: str) -> dict[str, Any]:
    return {"path": f"%c{_pick(draw, sorted(CONSTANTS))}"}


def _row_column(draw: Draw, context: str) -> dict[str, Any]:
    return {"path": "%rowIndex"}


_TEXT_FORMS = [
    *("{} + {other}", "{} & {other}", "{} + ' ' + {other}", "{}.upper()", "{}.substring(1)"),
    *("{}.replace('A', {other})", "({} | {other}).join('-')", "iif({test}, {}, {other})"),
    *("({test}).toString()", "{}.length().toString()"),
]
_KINDS: dict[str, Callable[[Draw, str], dict[str, Any]]] = {
    **{kind: _plain_column(kind) for kind in ("string", "integer", "decimal", "date", "dateTime")},
    **{"count": _count_column, "number": _number_column, "test": _test_column, "text": _text_column},
    **{"boundary": _boundary_column, "constant": _constant_column, "row": _row_column},
}


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
            kinds = draw(st.lists(st.sampled_from(_BRANCH_KINDS), min_size=1, max_size=3))
            select["unionAll"] = _union(draw, context, [(next(names), kind) for kind in kinds], 2)
    return select


def _iterate(draw: Draw, select: dict[str, Any], context: str) -> str:
    """Let a select iterate; the type of its items."""
    if context in ("Patient", "Extension") and draw(st.integers(0, 5)) == 0:
        paths = ["extension", "extension.where(url = 'u1')", "extension('u2')"]
        select["repeat"] = draw(st.lists(st.sampled_from(paths), min_size=1, max_size=2, unique=True))
        return "Extension"
    steps = _pick(draw, [p for p in PATHS[context] if p[-1].type in _ITERABLE])
    path = ".".join(step.text for step in steps)
    if any(step.repeats for step in steps) and steps[-1].type in ELEMENTS and draw(st.integers(0, 3)) == 0:
        path += f".where({_condition(draw, steps[-1].type, 1)})"
    select[_pick(draw, ["forEach", "forEachOrNull"])] = path
    return steps[-1].type


_ITERABLE = {*ELEMENTS, "string", "dateTime"}
_BRANCH_KINDS = ["string", "count", "text", "test", "row"]


def _union(draw: Draw, context: str, columns: list[tuple[str, str]], depth: int) -> list[dict[str, Any]]:
    """Branches with the same columns, some of them in nested selects, some from unions in turn."""
    branches = []
    for _ in range(draw(st.integers(1, 3))):
        branch: dict[str, Any] = {}
        inner = _iterate(draw, branch, context) if draw(st.integers(0, 3)) else context
        form = draw(st.integers(0, 5)) if depth > 0 and inner in ELEMENTS else 5
        own = 0 if form == 0 else 1 if form == 1 else len(columns)
        branch["column"] = [_branch_column(draw, inner, name, kind) for name, kind in columns[:own]]
        if columns[own:] and form == 0:
            branch["unionAll"] = _union(draw, inner, columns[own:], depth - 1)
        elif columns[own:]:
            nested: dict[str, Any] = {}
            inside = _iterate(draw, nested, inner) if draw(st.booleans()) else inner
            nested["column"] = [_branch_column(draw, inside, name, kind) for name, kind in columns[own:]]
            branch["select"] = [nested]
        branches.append(branch)
    return branches


def _branch_column(draw: Draw, context: str, name: str, kind: str) -> dict[str, Any]:
    """Never a collection: the branches of a union must agree about that."""
    if context not in ELEMENTS:
        number, test = kind in ("count", "row"), kind == "test"
        return {"name": name, "path": "$this.count()" if number else "$this.exists()" if test else "$this"}
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
    constants = [
        {"name": f"c{name}", f"value{name}": _pick(draw, values)} for name, values in CONSTANTS.items()
    ]
    return {"resource": "Patient", "constant": constants, "select": selects, "where": wheres}
