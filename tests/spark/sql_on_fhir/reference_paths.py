"""FHIRPath on Python values, for the reference runner: every function is the sentence that the specification has.

A collection is a list. Dates and times are text, told by their looks; decimals are `Decimal`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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
    type_name,
)

Items = list[Any]
_CHOICES = ("String", "Code", "Integer", "Decimal", "Boolean", "DateTime", "Period", "Reference")
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?)?)?")
_LONGEST = len("2020-01-01T00:00:00")


@dataclass(frozen=True)
class Context:
    """What an expression sees besides its focus."""

    constants: Mapping[str, Any]
    row_index: int = 0


def constant(definition: Mapping[str, Any]) -> Any:
    """The value of a view's constant."""
    ((key, value),) = ((key, value) for key, value in definition.items() if key != "name")
    return int(value) if key == "valueInteger64" else _number(value)


def evaluate(node: Node, this: Items, context: Context) -> Items:  # noqa: PLR0911
    """The collection that an expression gives."""
    match node:
        case Literal():
            return [_literal(node)]
        case Empty():
            return []
        case External():
            return [context.row_index if node.name == "rowIndex" else context.constants[node.name]]
        case This():
            return this
        case Member():
            return _children(_owner(node, this, context), node.name)
        case Index():
            index = single(evaluate(node.index, this, context))
            return evaluate(node.source, this, context)[index : index + 1]
        case Unary():
            return [-item if node.operator == "-" else item for item in evaluate(node.operand, this, context)]
        case Binary():
            left, right = evaluate(node.left, this, context), evaluate(node.right, this, context)
            if node.operator == "|":
                return _distinct(left + right)
            return _maybe(_OPERATORS[node.operator](left, right))
        case TypeTest():
            found, items = (
                _of_type(node.source, node.type, this, context),
                evaluate(node.source, this, context),
            )
            return found if node.operator == "as" else [bool(found)] if items else []
        case Call():
            return _call(node, this, context)
    raise NotImplementedError(type(node).__name__)


def single(items: Items) -> Any:
    """The one item, or None."""
    assert len(items) <= 1
    return items[0] if items else None


def truth(items: Items) -> bool | None:
    """The one boolean, or None."""
    found = single(items)
    assert found is None or isinstance(found, bool)
    return found


def _owner(node: Member | Call, this: Items, context: Context) -> Items:
    return this if node.source is None else evaluate(node.source, this, context)


def _literal(node: Literal) -> Any:
    if node.type == "boolean":
        return node.text == "true"
    convert: Callable[[str], Any] = {"integer": int, "decimal": Decimal}.get(node.type, str)
    return convert(node.text)


def _number(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


def _children(items: Items, name: str) -> Items:
    found: Items = []
    for item in items:
        for key in (name, *(name + kind for kind in _CHOICES)):
            value = item.get(key) if isinstance(item, dict) else None
            found += value if isinstance(value, list) else [value]
    return [_number(value) for value in found if value is not None]


def _of_type(source: Node, kind: str, this: Items, context: Context) -> Items:
    """The values of a choice that have a type, which their key tells."""
    assert isinstance(source, Member)
    return _children(_owner(source, this, context), source.name + kind[0].upper() + kind[1:])


def _maybe(value: Any) -> Items:
    return [] if value is None else [value]


def _distinct(items: Items) -> Items:
    return list(dict.fromkeys(items))


# Functions ----------------------------------------------------------------------------------------------------


def _call(node: Call, this: Items, context: Context) -> Items:  # noqa: C901, PLR0911, PLR0912
    source, arguments = _owner(node, this, context), node.arguments

    def holds(item: Any) -> bool:
        return truth(evaluate(arguments[0], [item], context)) is True

    def argument(index: int = 0) -> Any:
        return single(evaluate(arguments[index], this, context))

    match node.name:
        case "ofType" | "as":
            assert node.source is not None
            return _of_type(node.source, type_name(arguments[0]) or "", this, context)
        case "is":
            assert node.source is not None
            found = _of_type(node.source, type_name(arguments[0]) or "", this, context)
            return [bool(found)] if source else []
        case "where":
            return [item for item in source if holds(item)]
        case "exists":
            return [any(holds(item) for item in source) if arguments else bool(source)]
        case "all":
            return [all(holds(item) for item in source)]
        case "extension":
            return _extensions(node, source, argument(), this, context)
        case "skip":
            return source[argument() :]
        case "take":
            return source[: argument()]
        case "join":
            return [(argument() if arguments else "").join(source)] if source else []
        case "select":
            return [found for item in source for found in evaluate(arguments[0], [item], context)]
        case "iif":
            chosen = 1 if truth(evaluate(arguments[0], this, context)) else 2
            return evaluate(arguments[chosen], this, context)
        case "getReferenceKey":
            return _keys(source, type_name(arguments[0]) if arguments else None)
        case "lowBoundary" | "highBoundary":
            of_date = isinstance(node.source, Member) and node.source.name == "birthDate"
            return [_boundary(item, node.name == "highBoundary", of_date) for item in source]
    if node.name in _TEXT_FUNCTIONS:
        texts = (single(source), *(argument(index) for index in range(len(arguments))))
        return [] if None in texts else _maybe(_TEXT_FUNCTIONS[node.name](*texts))
    return _FUNCTIONS[node.name](source)


def _extensions(node: Call, source: Items, url: str, this: Items, context: Context) -> Items:
    """Those of structures are inside, those of primitives in the twin key beside them."""
    found = _children(source, "extension")
    if isinstance(node.source, Member):
        twins = _children(_owner(node.source, this, context), "_" + node.source.name)
        found += _children(twins, "extension")
    return [item for item in found if item.get("url") == url]


def _keys(references: Items, kind: str | None) -> Items:
    pattern = r"([A-Z][A-Za-z]+)/([^/?#]+)(/_history/[^/]+)?"
    matches = [re.fullmatch(pattern, r.get("reference") or "") for r in references]
    return [match[2] for match in matches if match and kind in (None, match[1])]


def _boundary(value: Any, high: bool, of_date: bool) -> Any:
    """The first or last thing that the value can mean."""
    if isinstance(value, int | Decimal):
        number = Decimal(value)
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        half = Decimal(5).scaleb(exponent - 1)
        return number + half if high else number - half
    day, _, time = value.removesuffix("Z").partition("T")
    if len(day) == 4:
        day += "-12" if high else "-01"
    if len(day) == 7:
        last = calendar.monthrange(int(day[:4]), int(day[5:]))[1]
        day += f"-{last}" if high else "-01"
    if of_date:
        return day
    if time:
        return f"{day}T{time}.{'999' if high else '000'}Z"
    return day + ("T23:59:59.999-12:00" if high else "T00:00:00.000+14:00")


_FUNCTIONS: Mapping[str, Callable[[Items], Items]] = {
    "empty": lambda items: [not items],
    "count": lambda items: [len(items)],
    "first": lambda items: items[:1],
    "last": lambda items: items[-1:],
    "tail": lambda items: items[1:],
    "distinct": _distinct,
    "not": lambda items: [not items[0]] if items else [],
    "getResourceKey": lambda items: [items[0]["id"]],
}
_TEXT_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "startsWith": lambda text, other: text.startswith(other),
    "endsWith": lambda text, other: text.endswith(other),
    "contains": lambda text, other: other in text,
    "upper": lambda text: text.upper(),
    "length": len,
    "replace": lambda text, old, new: text.replace(old, new),
    "substring": lambda text, start: text[start:] if start < len(text) else None,
    "toString": lambda value: str(value).lower() if isinstance(value, bool) else str(value),
}

# Operators ----------------------------------------------------------------------------------------------------


def _and(left: Items, right: Items) -> bool | None:
    truths = truth(left), truth(right)
    return False if False in truths else None if None in truths else True


def _or(left: Items, right: Items) -> bool | None:
    truths = truth(left), truth(right)
    return True if True in truths else None if None in truths else False


def _implies(left: Items, right: Items) -> bool | None:
    return _or([] if not left else [not truth(left)], right)


def _both(function: Callable[[Any, Any], Any]) -> Callable[[Items, Items], Any]:
    """A function of two single items, empty where either is."""
    return lambda left, right: function(single(left), single(right)) if left and right else None


def _as_far_as_known(left: Any, right: Any) -> tuple[Any, Any] | None:
    """The two values as they compare; None where dates agree as far as the shorter one goes."""
    if not (_is_date(left) and _is_date(right)):
        return left, right
    left, right = left.removesuffix("Z")[:_LONGEST], right.removesuffix("Z")[:_LONGEST]
    shortest = min(len(left), len(right))
    if len(left) != len(right) and left[:shortest] == right[:shortest]:
        return None
    return left, right


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def _order(function: Callable[[Any, Any], bool]) -> Callable[[Items, Items], Any]:
    def compare(left: Any, right: Any) -> bool | None:
        known = _as_far_as_known(left, right)
        return None if known is None else function(*known)

    return _both(compare)


def _equal(left: Items, right: Items) -> bool | None:
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    known = [_as_far_as_known(a, b) for a, b in zip(left, right, strict=True)]
    return None if None in known else all(pair[0] == pair[1] for pair in known if pair)


def _unequal(left: Items, right: Items) -> bool | None:
    equal = _equal(left, right)
    return None if equal is None else not equal


def _divide(left: Any, right: Any) -> Any:
    return Decimal(left) / Decimal(right) if right else None


def _whole(left: Any, right: Any) -> Any:
    """Division that cuts towards zero."""
    return int(Decimal(left) / Decimal(right)) if right else None


_OPERATORS: Mapping[str, Callable[[Items, Items], Any]] = {
    "and": _and,
    "or": _or,
    "xor": _both(lambda a, b: a != b),
    "implies": _implies,
    "=": _equal,
    "!=": _unequal,
    "<": _order(lambda a, b: a < b),
    "<=": _order(lambda a, b: a <= b),
    ">": _order(lambda a, b: a > b),
    ">=": _order(lambda a, b: a >= b),
    "+": _both(lambda a, b: a + b),
    "-": _both(lambda a, b: a - b),
    "*": _both(lambda a, b: a * b),
    "/": _both(_divide),
    "div": _both(_whole),
    "mod": _both(lambda a, b: a - b * _whole(a, b) if b else None),
    "&": lambda left, right: (single(left) or "") + (single(right) or ""),
    "in": lambda left, right: single(left) in right if left else None,
    "contains": lambda left, right: single(right) in left if right else None,
}
