"""A small, slow, obviously right runner of views: the specification's processing model on Python dictionaries.

It shares the FHIRPath parser with the package and nothing else: no types, no Spark, no compilation. A collection
is a list. What a choice element is named in JSON is guessed from the key, which the compiler never does.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glue_jobs.sql_on_fhir.parser import parse
from glue_jobs.sql_on_fhir.syntax import Binary, Call, External, Index, Literal, Member, Node, This, type_name

Items = list[Any]
Row = dict[str, Any]
# Stands for the error of a column that has several values and is no collection.
SEVERAL = object()
_CHOICES = ("String", "Code", "Integer", "Decimal", "Boolean", "DateTime")


@dataclass(frozen=True)
class _Context:
    constants: Mapping[str, Any]
    row_index: int = 0


def run_view(view: Mapping[str, Any], resources: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of a view; absent values are None, and SEVERAL where the view must fail."""
    constants = {c["name"]: next(v for k, v in c.items() if k != "name") for c in view.get("constant", ())}
    context = _Context(constants)
    rows: list[Row] = []
    for resource in resources:
        kept = (_truth(evaluate(parse(w["path"]), [resource], context)) for w in view.get("where", ()))
        if resource["resourceType"] == view["resource"] and all(kept):
            rows += _cross([_select(select, resource, context) for select in view["select"]])
    return rows


def _cross(parts: Sequence[list[Row]]) -> list[Row]:
    """Every combination of one row from each part."""
    return [{k: v for part in chosen for k, v in part.items()} for chosen in itertools.product(*parts)]


def _select(select: Mapping[str, Any], node: Any, context: _Context) -> list[Row]:
    if "repeat" in select:
        foci = list(_repeat(select["repeat"], node, context))
    elif path := select.get("forEach") or select.get("forEachOrNull"):
        foci = evaluate(parse(path), [node], context)
    else:
        return _rows(select, node, context)
    if not foci and "forEachOrNull" in select:
        return [{c["name"]: 0 if c["path"] == "%rowIndex" else None for c in _all_columns(select)}]
    return [
        row
        for index, focus in enumerate(foci)
        for row in _rows(select, focus, replace(context, row_index=index))
    ]


def _repeat(paths: Sequence[str], node: Any, context: _Context) -> Iterator[Any]:
    """Depth first: each node that a path gives, then what is below it."""
    for path in paths:
        for child in evaluate(parse(path), [node], context):
            yield child
            yield from _repeat(paths, child, context)


def _rows(select: Mapping[str, Any], node: Any, context: _Context) -> list[Row]:
    own = {c["name"]: _column(c, node, context) for c in select.get("column", ())}
    parts = [[own], *(_select(child, node, context) for child in select.get("select", ()))]
    if "unionAll" in select:
        parts.append([row for branch in select["unionAll"] for row in _select(branch, node, context)])
    return _cross(parts)


def _all_columns(select: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from select.get("column", ())
    for child in (*select.get("select", ()), *select.get("unionAll", ())[:1]):
        yield from _all_columns(child)


def _column(column: Mapping[str, Any], node: Any, context: _Context) -> Any:
    found = evaluate(parse(column["path"]), [node], context)
    if column.get("collection"):
        return found or None
    return SEVERAL if len(found) > 1 else _single(found)


# FHIRPath -----------------------------------------------------------------------------------------------------


def evaluate(node: Node, this: Items, context: _Context) -> Items:  # noqa: PLR0911
    """The collection that an expression gives."""
    match node:
        case Literal():
            return [_literal(node)]
        case External():
            return [context.row_index if node.name == "rowIndex" else context.constants[node.name]]
        case This():
            return this
        case Member():
            return _children(this if node.source is None else evaluate(node.source, this, context), node.name)
        case Index():
            index = _single(evaluate(node.index, this, context))
            return evaluate(node.source, this, context)[index : index + 1]
        case Binary():
            left, right = evaluate(node.left, this, context), evaluate(node.right, this, context)
            return _maybe(_OPERATORS[node.operator](left, right))
        case Call():
            return _call(node, this, context)
    raise NotImplementedError(type(node).__name__)


def _literal(node: Literal) -> Any:
    if node.type == "boolean":
        return node.text == "true"
    convert = {"integer": int, "decimal": float}.get(node.type, str)
    return convert(node.text)


def _children(items: Items, name: str) -> Items:
    found: Items = []
    for item in items:
        for key in (name, *(name + kind for kind in _CHOICES)):
            value = item.get(key) if isinstance(item, dict) else None
            found += value if isinstance(value, list) else [value]
    return [value for value in found if value is not None]


def _call(node: Call, this: Items, context: _Context) -> Items:  # noqa: C901, PLR0911
    arguments = node.arguments
    if node.name == "ofType":
        kind = type_name(arguments[0]) or ""
        assert isinstance(node.source, Member)
        owner = this if node.source.source is None else evaluate(node.source.source, this, context)
        return _children(owner, node.source.name + kind[0].upper() + kind[1:])
    source = this if node.source is None else evaluate(node.source, this, context)

    def holds(item: Any) -> bool:
        return _truth(evaluate(arguments[0], [item], context)) is True

    def argument() -> Any:
        return _single(evaluate(arguments[0], this, context))

    match node.name:
        case "where":
            return [item for item in source if holds(item)]
        case "exists":
            return [any(holds(item) for item in source) if arguments else bool(source)]
        case "all":
            return [all(holds(item) for item in source)]
        case "extension":
            return [item for item in _children(source, "extension") if item.get("url") == argument()]
        case "skip":
            return source[argument() :]
        case "take":
            return source[: argument()]
        case "join":
            return [argument().join(source)] if source else []
        case "select":
            return [found for item in source for found in evaluate(arguments[0], [item], context)]
        case "getReferenceKey":
            return _keys(source, type_name(arguments[0]) if arguments else None)
    return _FUNCTIONS[node.name](source)


def _keys(references: Items, kind: str | None) -> Items:
    matches = [re.fullmatch(r"([A-Z][A-Za-z]+)/([^/]+)", r.get("reference") or "") for r in references]
    return [match[2] for match in matches if match and kind in (None, match[1])]


_FUNCTIONS: Mapping[str, Callable[[Items], Items]] = {
    "empty": lambda items: [not items],
    "count": lambda items: [len(items)],
    "first": lambda items: items[:1],
    "last": lambda items: items[-1:],
    "tail": lambda items: items[1:],
    "not": lambda items: [not items[0]] if items else [],
    "getResourceKey": lambda items: [items[0]["id"]],
}


def _single(items: Items) -> Any:
    assert len(items) <= 1
    return items[0] if items else None


def _truth(items: Items) -> bool | None:
    truth = _single(items)
    assert truth is None or isinstance(truth, bool)
    return truth


def _maybe(value: Any) -> Items:
    return [] if value is None else [value]


def _and(left: Items, right: Items) -> bool | None:
    truths = _truth(left), _truth(right)
    return False if False in truths else None if None in truths else True


def _or(left: Items, right: Items) -> bool | None:
    truths = _truth(left), _truth(right)
    return True if True in truths else None if None in truths else False


def _both(function: Callable[[Any, Any], Any]) -> Callable[[Items, Items], Any]:
    """A function of two single items, empty where either is."""
    return lambda left, right: function(_single(left), _single(right)) if left and right else None


_OPERATORS: Mapping[str, Callable[[Items, Items], Any]] = {
    "and": _and,
    "or": _or,
    "=": lambda left, right: left == right if left and right else None,
    "!=": lambda left, right: left != right if left and right else None,
    "<": _both(lambda a, b: a < b),
    "<=": _both(lambda a, b: a <= b),
    ">": _both(lambda a, b: a > b),
    ">=": _both(lambda a, b: a >= b),
    "+": _both(lambda a, b: a + b),
    "-": _both(lambda a, b: a - b),
    "*": _both(lambda a, b: a * b),
    "&": lambda left, right: (_single(left) or "") + (_single(right) or ""),
    "in": lambda left, right: _single(left) in right if left else None,
}
