"""FHIRPath to Spark SQL: one pass over the syntax tree with the types of FHIR's element model.

Each visit returns a `Value`. On the way it registers the JSON keys it reads with the `Need` tree. Functions
live in `functions`, operators in `operators`; both call back into `Compiler`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from glue_jobs.sql_on_fhir import functions, literals, operators
from glue_jobs.sql_on_fhir.errors import (
    FhirPathSyntaxError,
    FhirPathTypeError,
    UnsupportedFhirPathError,
    ViewDefinitionError,
)
from glue_jobs.sql_on_fhir.needs import STRUCT, TEXT, shape_schema, storage
from glue_jobs.sql_on_fhir.parser import parse
from glue_jobs.sql_on_fhir.scope import Scope
from glue_jobs.sql_on_fhir.sql import case, compact, fail
from glue_jobs.sql_on_fhir.sql import field as sql_field
from glue_jobs.sql_on_fhir.syntax import (
    Binary,
    Call,
    Empty,
    External,
    Index,
    Literal,
    Member,
    Node,
    This,
    TypeTest,
    Unary,
)
from glue_jobs.sql_on_fhir.values import EMPTY, EMPTY_VALUE, INTEGERS, Value, boolean
from schemas.fhir import Element, ElementModel, element_model

_BASES = frozenset({"Resource", "DomainResource"})
INTEGER64 = "integer64"
# Variables of every FHIRPath expression on FHIR data (http://hl7.org/fhir/R4/fhirpath.html#vars).
_CODE_SYSTEMS = {
    "loinc": "http://loinc.org",
    "sct": "http://snomed.info/sct",
    "ucum": "http://unitsofmeasure.org",
}
# Bases that say nothing of what is in a value.
_ABSTRACT = frozenset({"Element", "BackboneElement"})
# Choices of any type (`value[x]` of extensions) have 50 of them in R4; of others none has more than a dozen.
_ANY_TYPE = 40


class Compiler:
    """Compiles one expression."""

    def __init__(self, expression: str, scope: Scope) -> None:
        self.expression, self.scope = expression, scope
        self.model: ElementModel = element_model()

    def compile(self) -> Value:
        return self.visit(parse(self.expression), self.scope.focus)

    # Errors ---------------------------------------------------------------------------------------------------

    def wrong(self, node: Node, reason: str) -> ViewDefinitionError:
        """An expression that can never be right."""
        return FhirPathTypeError(reason, expression=self.expression, position=node.position)

    def unsupported(self, node: Node, what: str) -> ViewDefinitionError:
        """Valid FHIRPath that is outside the subset."""
        reason = f"{what} is not supported; supported are {functions.SUPPORTED} and {operators.SUPPORTED}"
        return UnsupportedFhirPathError(reason, expression=self.expression, position=node.position)

    # Nodes ----------------------------------------------------------------------------------------------------

    def visit(self, node: Node, this: Value) -> Value:  # noqa: C901, PLR0911 (one case a node)
        """The value of a node where `$this` is `this`."""
        match node:
            case Literal():
                return self._literal(node)
            case Empty():
                return EMPTY_VALUE
            case External():
                return self._external(node)
            case This():
                if node.name != "$this":
                    raise self.unsupported(node, node.name)
                return this
            case Member():
                return self._member(node, this)
            case Call():
                source = this if node.source is None else self.visit(node.source, this)
                return functions.call(self, node, source, this)
            case Index():
                return self._index(node, this)
            case Unary():
                return operators.unary(self, node, self.visit(node.operand, this))
            case Binary():
                left, right = self.visit(node.left, this), self.visit(node.right, this)
                return operators.binary(self, node, left, right)
            case TypeTest():
                source = self.visit(node.source, this)
                if node.operator == "as":
                    return self.of_type(node, source, node.type)
                return self.is_type(node, source, node.type)
        raise self.unsupported(node, type(node).__name__)

    def _literal(self, node: Literal) -> Value:
        try:
            return literals.literal(node.type, node.text)
        except ValueError as error:
            raise FhirPathSyntaxError(
                str(error), expression=self.expression, position=node.position
            ) from error

    def _external(self, node: External) -> Value:
        if node.name in self.scope.constants:
            return self.scope.constants[node.name]
        if node.name == "rowIndex":
            return Value(self.scope.row_index, "integer")
        if node.name in ("resource", "rootResource"):
            return self.scope.resource
        if node.name == "context":
            return self.scope.focus
        if node.name in _CODE_SYSTEMS:
            return literals.literal("uri", _CODE_SYSTEMS[node.name])
        known = ", ".join(f"%{name}" for name in sorted({*self.scope.constants, "rowIndex", "resource"}))
        raise self.wrong(node, f"unknown constant %{node.name}; the view has {known}")

    def _member(self, node: Member, this: Value) -> Value:
        if node.source is not None:
            return self.member(node, self.visit(node.source, this), node.name)
        is_type = this.choice is None and self.model.is_a(this.type, node.name)
        if is_type and self.model.element(this.type, node.name) is None:
            return this  # `Patient.name` where the context is a Patient
        return self.member(node, this, node.name)

    def _index(self, node: Index, this: Value) -> Value:
        source, index = self.visit(node.source, this), self.visit(node.index, this)
        if index.type == EMPTY:
            return EMPTY_VALUE
        if index.type not in INTEGERS:
            raise self.wrong(node, f"an index is an integer, not a {index.type}")
        source = self.settle(node, source)
        if source.literal is None and not source.many:
            return replace(
                source, sql=source.sql if index.literal == "0" else case((f"{index.sql} = 0", source.sql))
            )
        if index.literal == "0":
            return source.single(source.first)
        return source.single(f"get({source.array}, {index.sql})")

    # Elements -------------------------------------------------------------------------------------------------

    def member(self, node: Node, source: Value, name: str) -> Value:
        """The child elements `name` of every item."""
        if source.type == EMPTY:
            return EMPTY_VALUE
        if source.choice is not None:
            return self._member_of_choice(node, source, name)
        element = self.model.element(source.type, name)
        if element is None:
            return self._choice_key(node, source, name)
        if element.choice:
            return Value("", f"{name}[x]", many=source.many, parent=source, choice=element)
        if self.model.is_primitive(source.type):
            return self._shadow_member(node, source, element)
        return self.element(source, element, element.types[0])

    def element(self, source: Value, element: Element, type_name: str) -> Value:
        """The values of one element of a structure, where they are of `type_name`."""
        key, primitive = element.key(type_name), self._primitive(type_name)
        return self._key(source, key, storage(type_name, primitive=primitive), element.repeats, type_name)

    def _key(self, source: Value, key: str, kind: str, repeats: bool, type_name: str) -> Value:
        if source.need is None:
            raise FhirPathTypeError(f"`{key}` cannot be read from a calculated {source.type}")
        shape = self.scope.shapes.get(type_name) if kind == STRUCT else None
        need = source.need.child(key, TEXT if shape else kind, repeats, type_name, shape)
        sql, many = sql_field(source.sql, key), source.many or repeats
        if source.many and repeats:
            sql = f"flatten({compact(sql)})"
        if type_name == INTEGER64:
            # JSON has it as a string, since its numbers are doubles to many.
            item = self.scope.fresh()
            sql = f"transform({sql}, {item} -> {_as_long(item)})" if many else _as_long(sql)
        if shape is not None:
            item = self.scope.fresh()
            sql = (
                f"transform({sql}, {item} -> {_as_node(item, type_name)})"
                if many
                else _as_node(sql, type_name)
            )
        return Value(
            sql,
            type_name,
            many,
            clean=not many,
            need=shape or (need if kind == STRUCT else None),
            parent=source,
            key=key,
        )

    def _shadow_member(self, node: Node, source: Value, element: Element) -> Value:
        """`id` and `extension` of a primitive, which JSON keeps in a twin key: `_birthDate`."""
        if source.parent is None or not source.key:
            raise self.unsupported(
                node, f"`{element.name}` of a value that does not come straight from an element"
            )
        repeats = source.parent.need is not None and source.parent.need.children[source.key].repeats
        twin = self._key(source.parent, f"_{source.key}", STRUCT, repeats, "Element")
        return self.element(twin, element, element.types[0])

    def _member_of_choice(self, node: Node, source: Value, name: str) -> Value:
        """`value.code`: from every type of the choice that has such an element."""
        assert source.choice is not None
        assert source.parent is not None
        types = [
            t
            for t in source.choice.types
            if self.model.element(t, name) is not None and not self._primitive(t)
        ]
        if not types:
            raise self._unknown(node, source.type, name, ())
        found = [self.member(node, self.element(source.parent, source.choice, t), name) for t in types]
        if len({value.type for value in found}) > 1 or any(value.choice for value in found):
            raise self.wrong(
                node, f"`{name}` has several types here; pick one with ofType, such as {types[0]}"
            )
        return self.either(found)

    def _primitive(self, type_name: str) -> bool:
        return self.model.is_primitive(type_name) or type_name == INTEGER64

    def either(self, values: list[Value]) -> Value:
        """Values of which at most one is present in any instance, such as the types of a choice."""
        first = values[0]
        if len(values) == 1:
            return first
        for value in values[1:]:
            if first.need is not None and value.need is not None:
                first.need.join(value.need)
        if not any(value.many for value in values):
            return replace(
                first, sql=f"coalesce({', '.join(v.sql for v in values)})", parent=None, key="", need=None
            )
        arrays = ", ".join(f"coalesce({v.array}, array())" for v in values)
        return replace(first, sql=f"concat({arrays})", many=True, clean=True, parent=None, key="", need=None)

    def _choice_key(self, node: Node, source: Value, name: str) -> Value:
        """`valueQuantity`: not FHIRPath, but common in views and without a second meaning."""
        info = self.model.types.get(source.type)
        for element in info.elements.values() if info else ():
            for type_name in element.types if element.choice else ():
                if element.key(type_name) == name:
                    return self.element(source, element, type_name)
        raise self._unknown(node, source.type, name, tuple(info.elements) if info else ())

    def _unknown(self, node: Node, type_name: str, name: str, known: tuple[str, ...]) -> ViewDefinitionError:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        return self.wrong(node, f"{type_name} has no element `{name}`{hint}")

    # Types ----------------------------------------------------------------------------------------------------

    def type_of(self, node: Node, name: str) -> str:
        """The type that a specifier names, without its namespace."""
        plain = name.removeprefix("FHIR.")
        if name.startswith("System."):
            plain = name.removeprefix("System.")
            plain = plain[0].lower() + plain[1:]
        if plain not in self.model.types and plain != INTEGER64:
            raise self.wrong(node, f"unknown type {name}")
        return plain

    def is_type(self, node: Node, source: Value, name: str) -> Value:
        """Whether an item is of a type; empty where there is none."""
        return boolean(case((self.present(source), self.of_type(node, source, name).present)))

    def of_type(self, node: Node, source: Value, name: str) -> Value:
        """The items of a type; none where the element is never of that type."""
        wanted = self.type_of(node, name)
        if source.choice is not None:
            assert source.parent is not None
            # R4 has no integer64, but views name it and R5's extensions hold it: where any type may stand.
            anything = wanted == INTEGER64 and len(source.choice.types) >= _ANY_TYPE
            if anything:
                return self.element(source.parent, source.choice, wanted)
            return self._choice_of_type(source.parent, source.choice, wanted)
        if source.type == EMPTY or self.model.is_a(source.type, wanted):
            return source
        if source.type in _BASES and self.model.is_resource(wanted):
            return self._resource_of_type(source, wanted)
        return EMPTY_VALUE

    def _choice_of_type(self, owner: Value, choice: Element, wanted: str) -> Value:
        """The value of a choice where it is of a type or one derived from it: a code is a string, an Age a Quantity."""
        types = [t for t in choice.types if self.model.is_a(t, wanted)]
        if not types or wanted in _ABSTRACT:
            return EMPTY_VALUE
        return replace(self._one_of(owner, choice, types), type=wanted)

    def _resource_of_type(self, source: Value, wanted: str) -> Value:
        """Contained resources and entries of bundles tell their type in `resourceType`."""
        assert source.need is not None
        source.need.child("resourceType", "STRING", False, "code")
        if not source.many:
            sql = case((f"{sql_field(source.sql, 'resourceType')} = '{wanted}'", source.sql))
            return replace(source, sql=sql, type=wanted)
        name = self.scope.fresh()
        sql = f"filter({source.sql}, {name} -> {sql_field(name, 'resourceType')} = '{wanted}')"
        return replace(source, sql=sql, type=wanted, clean=True)

    def settle(self, node: Node, value: Value) -> Value:
        """The value with its choice resolved, which works where all types of it are held alike."""
        if value.choice is None:
            return value
        assert value.parent is not None
        types = value.choice.types
        if not all(self._primitive(t) for t in types) or len({storage(t, primitive=True) for t in types}) > 1:
            raise self.wrong(node, f"{value.choice.name}[x] can be {', '.join(types)}; pick one with ofType")
        return self._one_of(value.parent, value.choice, types)

    def _one_of(self, owner: Value, choice: Element, types: Sequence[str]) -> Value:
        """The value of a choice of whichever of these types, all of which are held alike; in the owners' order."""
        if len(types) == 1:
            return self.element(owner, choice, types[0])
        if not owner.many:
            found = [self.element(owner, choice, t) for t in types]
            return replace(self.either(found), need=found[0].need)
        name = self.scope.fresh()
        one = self._one_of(owner.single(name), choice, types)
        return replace(one, sql=f"transform({owner.array}, {name} -> {one.sql})", many=True, clean=False)

    # Singletons -----------------------------------------------------------------------------------------------

    def item(self, node: Node, value: Value, what: str = "a single value") -> Value:
        """The value as one item; more than one stops the query."""
        value = self.settle(node, value)
        if not value.many:
            return value
        message = f"`{self.expression}` gave several values where {what} is expected"
        return value.single(single_item(value, message))

    def truth(self, node: Node, value: Value) -> str:
        """The value as a boolean: FHIRPath takes a single item of any other type as true."""
        if value.choice is not None:
            assert value.parent is not None
            if "boolean" not in value.choice.types:
                return case((self.present(value), "true"))
            value = self.element(value.parent, value.choice, "boolean")
        if value.type == EMPTY:
            return "CAST(NULL AS BOOLEAN)"
        item = self.item(node, value, "a boolean")
        return item.sql if item.type == "boolean" else case((item.present, "true"))

    def present(self, value: Value) -> str:
        """True if there is an item; of a choice, an item of any type."""
        if value.choice is None:
            return value.present
        assert value.parent is not None
        found = [self.element(value.parent, value.choice, t).present for t in value.choice.types]
        return "(" + " OR ".join(found) + ")"


def _as_long(text: str) -> str:
    return f"try_cast({text} AS BIGINT)"


def _as_node(text: str, type_name: str) -> str:
    """The object in a text; of what is none, Spark would make one without values."""
    return case((f"startswith({text}, '{{')", f"from_json({text}, {shape_schema(type_name)})"))


def single_item(value: Value, message: str) -> str:
    """The item of an array that must not have several; a look at its size nearly always settles it."""
    checked = case((f"size({value.array}) > 1", fail(message)), otherwise=f"get({value.array}, 0)")
    return case((f"size({value.sql}) <= 1", f"get({value.sql}, 0)"), otherwise=checked)
