"""Functions of FHIRPath: one small builder each, found by name in `_FUNCTIONS`. Those of text are in `strings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from glue_jobs.sql_on_fhir import numeric, strings, temporal
from glue_jobs.sql_on_fhir.calls import Entry, Use
from glue_jobs.sql_on_fhir.sql import case, quote_text
from glue_jobs.sql_on_fhir.syntax import Call, Node, type_name
from glue_jobs.sql_on_fhir.values import (
    DATES,
    EMPTY,
    EMPTY_VALUE,
    INTEGERS,
    NUMBERS,
    Value,
    boolean,
)

if TYPE_CHECKING:
    from glue_jobs.sql_on_fhir.compiler import Compiler


def call(compiler: Compiler, node: Call, source: Value, this: Value) -> Value:
    """The value of a function call."""
    entry = _FUNCTIONS.get(node.name)
    if entry is None:
        raise compiler.unsupported(node, f"the function {node.name}()")
    builder, least, most = entry
    if not least <= len(node.arguments) <= most:
        count = str(least) if least == most else f"{least} to {most}"
        raise compiler.wrong(node, f"{node.name} takes {count} argument(s), not {len(node.arguments)}")
    return builder(Use(compiler, node, source, this))


# Filtering and existence --------------------------------------------------------------------------------------


def _criteria(use: Use, item: Value) -> str:
    """The criteria of where, exists and all for one item: a boolean, by the type rules before any data."""
    node: Node = use.node.arguments[0]
    value = use.compiler.visit(node, item)
    if value.type not in ("boolean", EMPTY) and not (value.choice and "boolean" in value.choice.types):
        raise use.compiler.wrong(node, f"the criteria of {use.node.name} give a {value.type}, not a boolean")
    return use.compiler.truth(node, value)


def _where(use: Use) -> Value:
    source = use.source
    if source.type == EMPTY:
        return EMPTY_VALUE
    source = use.compiler.settle(use.node, source)
    if not source.many:
        condition = f"{source.present} AND {_criteria(use, source)}"
        return replace(source, sql=case((condition, source.sql)), literal=None)
    name = use.compiler.scope.fresh()
    condition = _criteria(use, source.single(name))
    guard = "" if source.clean else f"{name} IS NOT NULL AND "
    return source.array_of(f"filter({source.sql}, {name} -> {guard}{condition})")


def _exists(use: Use) -> Value:
    return boolean(_any(use)) if use.has() else boolean(use.compiler.present(use.source))


def _any(use: Use) -> str:
    source = use.source
    if source.type == EMPTY:
        return "false"
    source = use.compiler.settle(use.node, source)
    if not source.many:
        return f"coalesce({source.present} AND {_criteria(use, source)}, false)"
    name = use.compiler.scope.fresh()
    condition = _criteria(use, source.single(name))
    guard = "" if source.clean else f"{name} IS NOT NULL AND "
    return f"coalesce(exists({source.sql}, {name} -> coalesce({guard}{condition}, false)), false)"


def _all(use: Use) -> Value:
    source = use.compiler.settle(use.node, use.source)
    if source.type == EMPTY:
        return boolean("true")
    if not source.many:
        condition = f"coalesce({_criteria(use, source)}, false)"
        return boolean(f"(NOT {source.present} OR {condition})")
    name = use.compiler.scope.fresh()
    condition = _criteria(use, source.single(name))
    return boolean(f"coalesce(forall({source.array}, {name} -> coalesce({condition}, false)), true)")


def _empty(use: Use) -> Value:
    return boolean(f"(NOT {use.compiler.present(use.source)})")


def _not(use: Use) -> Value:
    return boolean(f"(NOT {use.compiler.truth(use.node, use.source)})")


def _count(use: Use) -> Value:
    source = use.compiler.settle(use.node, use.source)
    if source.type == EMPTY:
        return Value("0", "integer")
    if not source.many:
        return Value(case((source.present, "1"), otherwise="0"), "integer")
    return Value(f"size(coalesce({source.array}, array()))", "integer")


def _select(use: Use) -> Value:
    """`name.select(given)`: the projection of every item, flattened."""
    source = use.compiler.settle(use.node, use.source)
    node = use.node.arguments[0]
    if not source.many:
        result = use.compiler.settle(node, use.compiler.visit(node, source))
        return (
            result
            if result.type == EMPTY
            else replace(result, sql=case((source.present, result.sql)), literal=None)
        )
    name = use.compiler.scope.fresh()
    result = use.compiler.settle(node, use.compiler.visit(node, source.single(name)))
    mapped = f"transform({source.array}, {name} -> {result.array if result.many else result.sql})"
    if result.many:
        mapped = f"flatten(array_compact({mapped}))"
    return replace(result.array_of(mapped), clean=result.many)


# Choosing items -----------------------------------------------------------------------------------------------


def _first(use: Use) -> Value:
    source = use.compiler.settle(use.node, use.source) if use.source.type != EMPTY else use.source
    return source.single(source.first) if source.many else source


def _last(use: Use) -> Value:
    source = use.compiler.settle(use.node, use.source)
    if not source.many:
        return source
    return source.single(f"get({source.array}, size({source.array}) - 1)")


def _slice(use: Use) -> Value:
    """tail, skip and take."""
    source = use.compiler.settle(use.node, use.source)
    number = 1 if use.node.name == "tail" else int(use.literal(0, INTEGERS, "a whole number"))
    array = source.array
    if use.node.name == "take":
        return source.array_of(f"slice({array}, 1, {max(number, 0)})")
    return source.array_of(f"slice({array}, {max(number, 0) + 1}, greatest(size({array}), 0))")


def _single(use: Use) -> Value:
    return use.compiler.item(use.node, use.source)


def _distinct(use: Use) -> Value:
    source = use.compiler.settle(use.node, use.source)
    if source.need is not None:
        raise use.compiler.unsupported(use.node, "distinct() of structures")
    return source.array_of(f"array_distinct({source.array})") if source.many else source


def _of_type(use: Use) -> Value:
    return use.compiler.of_type(use.node, use.source, _named_type(use))


def _is_type(use: Use) -> Value:
    return use.compiler.is_type(use.node, use.source, _named_type(use))


def _named_type(use: Use) -> str:
    name = type_name(use.node.arguments[0])
    if name is None:
        raise use.wrong(f"{use.node.name} takes the name of a type")
    return name


def _extension(use: Use) -> Value:
    """`extension(url)`: the extensions with that url, of a structure or of a primitive's twin."""
    if use.source.type == EMPTY:
        return EMPTY_VALUE
    if use.source.choice is not None:
        raise use.wrong(f"pick one type of {use.source.choice.name}[x] with ofType before extension()")
    url = use.argument()
    if url.family != "text" or url.many:
        raise use.wrong("extension takes a url")
    found = use.compiler.member(use.node, use.source, "extension")
    name = use.compiler.scope.fresh()
    item = found.single(name)
    key = use.compiler.member(use.node, item, "url")
    return found.array_of(f"filter({found.sql}, {name} -> {key.sql} = {url.sql})")


def _iif(use: Use) -> Value:
    condition = use.compiler.truth(use.node.arguments[0], use.argument(0))
    then = use.compiler.item(use.node.arguments[1], use.argument(1))
    other = use.compiler.item(use.node.arguments[2], use.argument(2)) if use.has(2) else EMPTY_VALUE
    if EMPTY not in (then.type, other.type) and then.family != other.family:
        raise use.wrong(f"iif gives a {then.type} or a {other.type}; both must be of one type")
    if EMPTY not in (then.type, other.type) and then.need is not other.need:
        raise use.compiler.unsupported(use.node, "iif() of structures from different elements")
    shape = other if then.type == EMPTY else then
    return replace(
        shape, sql=case((condition, then.sql), otherwise=other.sql), literal=None, parent=None, key=""
    )


# Boundaries and keys ------------------------------------------------------------------------------------------


def _boundary(use: Use) -> Value:
    high = use.node.name == "highBoundary"
    precision = int(use.literal(0, INTEGERS, "a whole number")) if use.has() else None
    source = use.source
    if source.type == EMPTY:
        return EMPTY_VALUE
    if source.choice is not None:
        raise use.wrong(f"pick one type of {source.choice.name}[x] with ofType before {use.node.name}()")
    item = use.compiler.item(use.node, source)
    if item.type == "Period":
        edge = use.compiler.member(use.node, item, "end" if high else "start")
        return temporal.boundary(edge, high, precision)
    if item.type == "Quantity":
        return numeric.boundary(use.compiler.member(use.node, item, "value"), high, precision)
    if item.type in NUMBERS:
        return numeric.boundary(item, high, precision)
    if item.type in DATES or item.type == "time":
        return temporal.boundary(item, high, precision)
    raise use.wrong(f"{use.node.name} takes a number, date, time or Period, not a {item.type}")


def _resource_key(use: Use) -> Value:
    if not use.compiler.model.is_a(use.source.type, "Resource"):
        raise use.wrong(f"getResourceKey is for resources, not for a {use.source.type}")
    return replace(use.compiler.member(use.node, use.source, "id"), type="string", parent=None, key="")


def _reference_key(use: Use) -> Value:
    """The id in a relative reference, `Type/id` or `Type/id/_history/version`; anything else has no key."""
    source = use.source
    if source.type == EMPTY:
        return EMPTY_VALUE
    if source.choice is not None and "Reference" in source.choice.types:
        source = use.compiler.of_type(use.node, source, "Reference")
    if source.type != "Reference":
        raise use.wrong(f"getReferenceKey is for References, not for a {source.type}")
    wanted = None
    if use.has():
        name = type_name(use.node.arguments[0])
        wanted = use.compiler.type_of(use.node, name or "")
        if not use.compiler.model.is_resource(wanted):
            raise use.wrong(f"{wanted} is not a resource type")
    reference = use.compiler.member(use.node, source, "reference")
    if not reference.many:
        return Value(_key_of(reference.sql, wanted), "string")
    item = use.compiler.scope.fresh()
    keys = f"transform({reference.sql}, {item} -> {_key_of(item, wanted)})"
    return Value(keys, "string", many=True, clean=False)


def _key_of(reference: str, wanted: str | None) -> str:
    """Plain string functions, because this runs for every row of nearly every view."""
    if wanted is None:
        pattern = quote_text("^[A-Z][A-Za-z]+/([^/?#]+)(?:/_history/[^/]+)?$")
        return f"nullif(regexp_extract({reference}, {pattern}, 1), '')"
    head, last = quote_text(wanted + "/"), f"substring_index({reference}, '/', -1)"
    # Equal to its type and what follows the last slash: nearly every reference, and told without counting
    # characters or looking each of them up, as substring and translate do.
    plain = f"{reference} = concat({head}, {last}) AND {_is_id(last)}"
    # Rare, so what counts is that its text is short: Spark plans it for every reference of every view.
    pattern = quote_text(f"^{wanted}/([^/?#]+)/_history/")
    version = f"nullif(regexp_extract({reference}, {pattern}, 1), '')"
    return case((plain, last), (f"contains({reference}, '/_history/')", version))


def _is_id(text: str) -> str:
    return f"{text} <> '' AND NOT contains({text}, '?') AND NOT contains({text}, '#')"


_FUNCTIONS: Mapping[str, Entry] = {
    **strings.FUNCTIONS,
    "where": (_where, 1, 1),
    "exists": (_exists, 0, 1),
    "all": (_all, 1, 1),
    "empty": (_empty, 0, 0),
    "not": (_not, 0, 0),
    "count": (_count, 0, 0),
    "select": (_select, 1, 1),
    "first": (_first, 0, 0),
    "last": (_last, 0, 0),
    "tail": (_slice, 0, 0),
    "skip": (_slice, 1, 1),
    "take": (_slice, 1, 1),
    "single": (_single, 0, 0),
    "distinct": (_distinct, 0, 0),
    "ofType": (_of_type, 1, 1),
    "as": (_of_type, 1, 1),
    "is": (_is_type, 1, 1),
    "extension": (_extension, 1, 1),
    "iif": (_iif, 2, 3),
    "lowBoundary": (_boundary, 0, 1),
    "highBoundary": (_boundary, 0, 1),
    "getResourceKey": (_resource_key, 0, 0),
    "getReferenceKey": (_reference_key, 0, 1),
}
SUPPORTED = "the functions " + " ".join(sorted(_FUNCTIONS))
