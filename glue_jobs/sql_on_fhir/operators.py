"""Operators of FHIRPath. Empty operands give empty, as NULL does in SQL; `and` and `or` are three-valued in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glue_jobs.sql_on_fhir import numeric, temporal
from glue_jobs.sql_on_fhir.literals import LEXICAL
from glue_jobs.sql_on_fhir.sql import case
from glue_jobs.sql_on_fhir.syntax import Binary, Unary
from glue_jobs.sql_on_fhir.values import EMPTY, EMPTY_VALUE, INTEGERS, NUMBERS, TEXT, Value, boolean

if TYPE_CHECKING:
    from glue_jobs.sql_on_fhir.compiler import Compiler

_EQUALITY = {"=": "=", "!=": "!="}
_ORDER = frozenset({"<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "div", "mod"})
_NOTHING = "CAST(NULL AS BOOLEAN)"
SUPPORTED = "the operators = != < <= > >= + - * / div mod & | and or xor implies in contains is as"


def unary(compiler: Compiler, node: Unary, operand: Value) -> Value:
    """`+x` and `-x`."""
    operand = compiler.item(node, operand, "a number")
    if operand.type == EMPTY:
        return EMPTY_VALUE
    if operand.type not in NUMBERS:
        raise compiler.wrong(node, f"a sign needs a number, not a {operand.type}")
    return numeric.negate(operand) if node.operator == "-" else operand


def binary(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:  # noqa: PLR0911
    """Any infix operator except `is` and `as`."""
    operator = node.operator
    if operator in ("and", "or", "xor", "implies"):
        return _logic(compiler, node, left, right)
    if operator in _EQUALITY:
        return _equality(compiler, node, left, right)
    if operator in _ORDER:
        return _order(compiler, node, left, right)
    if operator == "&":
        return _concatenate(compiler, node, left, right)
    if operator in _ARITHMETIC:
        return _arithmetic(compiler, node, left, right)
    if operator == "in":
        return _membership(compiler, node, left, right)
    if operator == "contains":
        return _membership(compiler, node, right, left)
    if operator == "|":
        return _union(compiler, node, left, right)
    raise compiler.unsupported(node, f"the operator {operator}")


def _logic(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:
    a, b = compiler.truth(node.left, left), compiler.truth(node.right, right)
    if node.operator == "implies":
        return boolean(f"((NOT {a}) OR {b})")
    if node.operator == "xor":
        return boolean(f"({a} <> {b})")
    return boolean(f"({a} {node.operator.upper()} {b})")


def _equality(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:
    operator = _EQUALITY[node.operator]
    if EMPTY in (left.type, right.type):
        return boolean(_NOTHING)
    left, right = _like(compiler, node, left, right), _like(compiler, node, right, left)
    if left.many or right.many:
        return _equal_collections(compiler, node, left, right)
    different = "false" if operator == "=" else "true"
    return boolean(_compare(compiler, node, operator, left, right, different))


def _like(compiler: Compiler, node: Binary, value: Value, other: Value) -> Value:
    """An unresolved choice, taken as the one of its types that the other operand can equal."""
    if value.choice is None or value.parent is None:
        return value
    fitting = [
        compiler.element(value.parent, value.choice, t)
        for t in value.choice.types
        if t == other.type or Value("", t).family == other.family
    ]
    return fitting[0] if len(fitting) == 1 else compiler.settle(node, value)


def _equal_collections(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:
    """Equal in number, order and items; of differing numbers, not equal."""
    for value in (left, right):
        if value.need is not None or value.family not in ("text", "number", "date", "boolean", "time"):
            raise compiler.unsupported(node, f"comparing collections of {value.type}")
    both = f"{left.present} AND {right.present}"
    if left.family != right.family:
        return boolean(case((both, "false" if node.operator == "=" else "true")))
    a, b = compiler.scope.fresh(), compiler.scope.fresh()
    pair = _compare(compiler, node, "=", left.single(a), right.single(b), "false")
    pairs = f"zip_with({left.array}, {right.array}, ({a}, {b}) -> {pair})"
    equal = case(
        (f"size({left.array}) <> size({right.array})", "false"), otherwise=f"forall({pairs}, {a} -> {a})"
    )
    return boolean(case((both, equal if node.operator == "=" else f"NOT {equal}")))


def _order(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:
    if EMPTY in (left.type, right.type):
        return boolean(_NOTHING)
    left = compiler.item(node.left, _like(compiler, node, left, right))
    right = compiler.item(node.right, _like(compiler, node, right, left))
    return boolean(_compare(compiler, node, node.operator, left, right, None))


def _compare(
    compiler: Compiler, node: Binary, operator: str, left: Value, right: Value, different: str | None
) -> str:
    """The comparison of two items; `different` is the answer where their types never compare."""
    left, right = _as_date(left, right), _as_date(right, left)
    family = left.family
    if family != right.family:
        if different is None:
            raise compiler.wrong(node, f"a {left.type} does not compare with a {right.type}")
        return case((f"{left.present} AND {right.present}", different))
    if family == "number":
        return numeric.compare(operator, left, right)
    if family == "date":
        return temporal.compare(operator, left, right)
    if family == "time":
        return temporal.compare_times(operator, left, right)
    if family not in ("text", "boolean") or (family == "boolean" and different is None):
        raise compiler.unsupported(node, f"comparing {left.type} with {right.type} by {operator}")
    return f"({left.sql} {operator} {right.sql})"


def _as_date(value: Value, other: Value) -> Value:
    """A string literal beside a date is the date that it spells, as views in the wild have it."""
    if value.literal is None or value.type not in TEXT or other.family not in ("date", "time"):
        return value
    type_name = "time" if other.family == "time" else "dateTime"
    if not LEXICAL[type_name].fullmatch(value.literal):
        return value
    is_date = type_name == "dateTime" and LEXICAL["date"].fullmatch(value.literal)
    return Value(value.sql, "date" if is_date else type_name, literal=value.literal)


def _concatenate(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:
    """`&`: as `+` of strings, but empty counts as ''."""
    parts = []
    for value in (left, right):
        item = compiler.item(node, value, "a string")
        if item.family != "text" and item.type != EMPTY:
            raise compiler.wrong(node, f"& joins strings, not a {item.type}")
        parts.append("''" if item.type == EMPTY else f"coalesce({item.sql}, '')")
    return Value(f"concat({', '.join(parts)})", "string")


def _arithmetic(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:
    if EMPTY in (left.type, right.type):
        return EMPTY_VALUE
    left = compiler.item(node.left, _number_of(compiler, left))
    right = compiler.item(node.right, _number_of(compiler, right))
    if node.operator == "+" and left.family == right.family == "text":
        return Value(f"concat({left.sql}, {right.sql})", "string")
    if left.family != "number" or right.family != "number":
        raise compiler.wrong(node, f"{node.operator} does not take a {left.type} and a {right.type}")
    return numeric.arithmetic(node.operator, left, right)


def _number_of(compiler: Compiler, value: Value) -> Value:
    """An unresolved choice, taken as its one numeric type."""
    if value.choice is None or value.parent is None:
        return value
    types = [t for t in value.choice.types if t in NUMBERS]
    return compiler.element(value.parent, value.choice, types[0]) if len(types) == 1 else value


def _membership(compiler: Compiler, node: Binary, item: Value, collection: Value) -> Value:
    if item.type == EMPTY:
        return boolean(_NOTHING)
    if collection.type == EMPTY:
        return boolean("false")
    item, collection = compiler.item(node, item), compiler.settle(node, collection)
    if not collection.many:
        equal = _compare(compiler, node, "=", item, collection, "false")
        return boolean(case((item.present, f"coalesce({equal}, false)")))
    name = compiler.scope.fresh()
    equal = _compare(compiler, node, "=", item, collection.single(name), "false")
    found = f"coalesce(exists({collection.array}, {name} -> coalesce({equal}, false)), false)"
    return boolean(case((item.present, found)))


def _union(compiler: Compiler, node: Binary, left: Value, right: Value) -> Value:
    """`|`: both collections without duplicates."""
    if EMPTY in (left.type, right.type):
        return right if left.type == EMPTY else left
    left, right = compiler.settle(node.left, left), compiler.settle(node.right, right)
    if left.family != right.family or left.need is not None or right.need is not None:
        raise compiler.unsupported(node, f"| of a {left.type} and a {right.type}")
    if left.family == "number" and not {left.type, right.type} <= INTEGERS:
        # As calculated decimals: 2 and 2.0 are one number, but two texts.
        left, right = _as_decimals(compiler, left), _as_decimals(compiler, right)
    both = ", ".join(f"coalesce({value.array}, array())" for value in (left, right))
    return left.array_of(f"array_distinct(concat({both}))")


def _as_decimals(compiler: Compiler, value: Value) -> Value:
    name = compiler.scope.fresh()
    sql = f"transform({value.array}, {name} -> {numeric.decimal(value.single(name), numeric.RESULT)})"
    return Value(sql, "decimal", many=True, clean=False, numeric=True)
