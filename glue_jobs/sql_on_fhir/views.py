"""ViewDefinition JSON as typed objects. What is wrong with the JSON itself is found here, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from glue_jobs.sql_on_fhir import literals
from glue_jobs.sql_on_fhir.errors import ViewDefinitionError
from glue_jobs.sql_on_fhir.values import Value
from schemas.fhir import element_model

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_DEFINITIONS = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM_TYPES = "http://hl7.org/fhirpath/System."
_ITERATIONS = ("forEach", "forEachOrNull", "repeat")


@dataclass(frozen=True)
class Column:
    """One column; `tags` by name, `location` is its place in the JSON."""

    name: str
    path: str
    location: str
    type: str | None = None
    collection: bool = False
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def ansi_type(self) -> str | None:
        return dict(self.tags).get("ansi/type")


@dataclass(frozen=True)
class Select:
    """One selection; `iteration` is forEach, forEachOrNull, repeat or empty, `paths` what it iterates over."""

    location: str
    iteration: str = ""
    paths: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    selects: tuple[Select, ...] = ()
    unions: tuple[Select, ...] = ()

    def all_columns(self) -> Iterator[Column]:
        """Every column in output order; of a union, those of its first branch."""
        yield from self.columns
        for select in self.selects:
            yield from select.all_columns()
        if self.unions:
            yield from self.unions[0].all_columns()

    @property
    def repeats(self) -> bool:
        """Whether there is a repeat here or below."""
        return self.iteration == "repeat" or any(s.repeats for s in (*self.selects, *self.unions))

    def declaring(self, columns: Mapping[str, Column]) -> Select:
        """This select with columns in place of those at the same location."""
        return replace(
            self,
            columns=tuple(columns.get(column.location, column) for column in self.columns),
            selects=tuple(select.declaring(columns) for select in self.selects),
            unions=tuple(branch.declaring(columns) for branch in self.unions),
        )


@dataclass(frozen=True)
class Where:
    """One condition."""

    path: str
    location: str


@dataclass(frozen=True)
class View:
    """A view, valid as far as can be told without compiling its expressions."""

    name: str
    resource: str
    selects: tuple[Select, ...]
    wheres: tuple[Where, ...]
    constants: Mapping[str, Value]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in output order."""
        return tuple(column for select in self.selects for column in select.all_columns())

    @property
    def repeats(self) -> bool:
        """Whether there is a repeat anywhere."""
        return any(select.repeats for select in self.selects)


def parse_view(document: Mapping[str, object], default_name: str) -> View:
    """The view in a ViewDefinition; raises ViewDefinitionError naming the place at fault."""
    name = document.get("name")
    label = name if isinstance(name, str) and name else default_name
    try:
        return _parse(document, label)
    except ViewDefinitionError as error:
        raise error.at(view=label) from None


def _parse(document: Mapping[str, object], name: str) -> View:
    if "name" in document:
        _sql_name(document["name"], "name")
    resource = _text(document, "resource", "")
    if not element_model().is_resource(resource):
        raise ViewDefinitionError(f"{resource} is not a resource type of FHIR R4", location="resource")
    selects = tuple(_select(item, place) for item, place in _items(document, "select", ""))
    if not selects:
        raise ViewDefinitionError("a view needs at least one select", location="select")
    wheres = tuple(
        Where(_text(item, "path", place), f"{place}.path") for item, place in _items(document, "where", "")
    )
    view = View(name, resource, selects, wheres, _constants(document))
    seen: set[str] = set()
    for select in selects:
        _check_names(select, seen)
    if not view.columns:
        raise ViewDefinitionError("a view needs at least one column", location="select")
    return view


def _constants(document: Mapping[str, object]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for item, place in _items(document, "constant", ""):
        name = _sql_name(item.get("name"), f"{place}.name")
        if name in found:
            raise ViewDefinitionError(f"the constant {name} is defined twice", location=place)
        found[name] = literals.constant(item, place)
    return found


def _select(item: Mapping[str, object], place: str) -> Select:
    used = [key for key in _ITERATIONS if item.get(key) is not None]
    if len(used) > 1:
        raise ViewDefinitionError(f"only one of {' and '.join(used)} can be used in a select", location=place)
    iteration = used[0] if used else ""
    unions = tuple(_select(child, where) for child, where in _items(item, "unionAll", place))
    if item.get("unionAll") is not None and not unions:
        raise ViewDefinitionError("unionAll needs at least one branch", location=f"{place}.unionAll")
    return Select(
        place,
        iteration,
        _iteration_paths(item, iteration, place),
        tuple(_column(child, where) for child, where in _items(item, "column", place)),
        tuple(_select(child, where) for child, where in _items(item, "select", place)),
        unions,
    )


def _iteration_paths(item: Mapping[str, object], iteration: str, place: str) -> tuple[str, ...]:
    if iteration != "repeat":
        return (_text(item, iteration, place),) if iteration else ()
    paths = item["repeat"]
    texts = paths if isinstance(paths, Sequence) and not isinstance(paths, str) else None
    if not texts or not all(isinstance(path, str) and path for path in texts):
        raise ViewDefinitionError("repeat takes a list of FHIRPath expressions", location=f"{place}.repeat")
    return tuple(str(path) for path in texts)


def _column(item: Mapping[str, object], place: str) -> Column:
    path, name = _text(item, "path", place), _sql_name(item.get("name"), f"{place}.name")
    type_name = item.get("type")
    if type_name is not None and not isinstance(type_name, str):
        raise ViewDefinitionError("type is the name of a FHIR type", location=f"{place}.type")
    collection = item.get("collection")
    collection = False if collection is None else collection
    if not isinstance(collection, bool):
        raise ViewDefinitionError("collection is true or false", location=f"{place}.collection")
    # The model says `tag`, an example of the specification `tags`; views in the wild have both.
    tags = [*_items(item, "tag", place), *_items(item, "tags", place)]
    pairs = tuple((_text(tag, "name", where), _text(tag, "value", where)) for tag, where in tags)
    return Column(name, path, f"{place}.path", type_name and _type_name(type_name), collection, pairs)


def _type_name(uri: str) -> str:
    """The type that a URI of its definition names; plain names are such URIs, relative ones."""
    name = uri.removeprefix(_DEFINITIONS)
    if name.startswith(_SYSTEM_TYPES):
        name = name.removeprefix(_SYSTEM_TYPES)
        name = name[:1].lower() + name[1:]
    return name


def _check_names(select: Select, seen: set[str]) -> None:
    """The specification's ValidateColumns: names are unique, branches of a union agree.

    To SQL, names that differ in case alone are one. `seen` holds them in lower case.
    """
    for column in select.columns:
        if column.name.lower() in seen:
            raise ViewDefinitionError(f"Column Already Defined: {column.name}", location=column.location)
        seen.add(column.name.lower())
    for child in select.selects:
        _check_names(child, seen)
    if not select.unions:
        return
    before = frozenset(seen)
    expected = [column.name for column in select.unions[0].all_columns()]
    if not expected:
        raise ViewDefinitionError(
            "the branches of a unionAll need columns", location=f"{select.location}.unionAll"
        )
    for branch in select.unions:
        own = set(before)
        _check_names(branch, own)
        names = [column.name for column in branch.all_columns()]
        if names != expected:
            reason = f"Union Branches Inconsistent: {', '.join(names)} instead of {', '.join(expected)}"
            raise ViewDefinitionError(reason, location=branch.location)
    seen.update(name.lower() for name in expected)


def _items(parent: Mapping[str, object], key: str, place: str) -> list[tuple[Mapping[str, object], str]]:
    """The objects in a list, each with its place; a lone object counts as a list of one."""
    where = f"{place}.{key}" if place else key
    value = parent.get(key)
    if value is None:
        return []
    listed = [value] if isinstance(value, Mapping) else value
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise ViewDefinitionError(f"{key} is a list of objects", location=where)
    found = []
    for index, item in enumerate(listed):
        if not isinstance(item, Mapping):
            raise ViewDefinitionError(f"{key} holds objects", location=f"{where}[{index}]")
        found.append((item, f"{where}[{index}]"))
    return found


def _text(parent: Mapping[str, object], key: str, place: str) -> str:
    where = f"{place}.{key}" if place else key
    value = parent.get(key)
    if value is None:
        raise ViewDefinitionError(f"{key} is missing", location=where)
    if not isinstance(value, str) or not value.strip():
        raise ViewDefinitionError(f"{key} is a non-empty string", location=where)
    return value


def _sql_name(value: object, place: str) -> str:
    if value is None:
        raise ViewDefinitionError("name is missing", location=place)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ViewDefinitionError(
            "a name starts with a letter and holds only letters, digits and underscores", location=place
        )
    return value
