"""`repeat`: the nodes that paths reach when followed again and again, in depth-first order.

Spark has neither recursion nor recursive types. So the objects that a repeat goes through are read as text, each is
parsed when its turn comes, and what is below it is text again: all nodes have one type (a `shape`, what the views read
of them), however deep they are. A loop replaces each node by itself and those below it until none has any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glue_jobs.sql_on_fhir.compiler import Compiler
from glue_jobs.sql_on_fhir.errors import FhirPathTypeError
from glue_jobs.sql_on_fhir.needs import STRUCT, Need, shape_type
from glue_jobs.sql_on_fhir.parser import parse
from glue_jobs.sql_on_fhir.scope import Scope
from glue_jobs.sql_on_fhir.sql import case, fail, named_struct
from glue_jobs.sql_on_fhir.syntax import Call, Index, Member, Node
from glue_jobs.sql_on_fhir.values import Value
from schemas.fhir import element_model

# Spark's JSON parser reads no more than 1,000 levels of objects and arrays. The loop is one in another, so that it
# takes not as many turns where a resource has a few levels, as nearly all have.
_TURNS = 32


def repeated_nodes(paths: Sequence[str], kind: str, scope: Scope) -> Value:
    """All nodes of the type `kind` that the paths reach from the focus, which is not among them."""
    state, outer, turn = scope.fresh("state"), scope.fresh("state"), scope.fresh("turn")
    turns = f"sequence(1, {_TURNS})"
    start = _state(_opened(_children(paths, scope, scope.focus, kind), scope), scope)
    merged = case((f"{state}.more", _below(paths, kind, state, scope)), otherwise=state)
    inner = f"aggregate({turns}, {outer}, ({state}, {turn}) -> {merged})"
    many = f"({outer}, {turn}) -> {case((f'{outer}.more', inner), otherwise=outer)}"
    too_deep = fail(f"`repeat` goes deeper than {_TURNS * _TURNS} levels")
    node = scope.fresh("node")
    nodes = f"transform({outer}.nodes, {node} -> {node}.node)"
    done = case((f"{outer}.more", too_deep), otherwise=nodes)
    sql = f"aggregate({turns}, {start}, {many}, {outer} -> {done})"
    return Value(sql, kind, many=True, need=scope.shapes[kind])


def _below(paths: Sequence[str], kind: str, state: str, scope: Scope) -> str:
    """The next state: each node that is open is closed, and followed by those below it."""
    item = scope.fresh("node")
    parent = Value(f"{item}.node", kind, need=scope.shapes[kind])
    children = _opened(_children(paths, scope, parent, kind), scope)
    closed = f"array({_node(parent.sql, 'false')})"
    step = case((f"{item}.open", f"concat({closed}, {children})"), otherwise=f"array({item})")
    return _state(f"flatten(transform({state}.nodes, {item} -> {step}))", scope)


def _opened(nodes: str, scope: Scope) -> str:
    item = scope.fresh("node")
    return f"transform({nodes}, {item} -> {_node(item, 'true')})"


def _node(sql: str, is_open: str) -> str:
    return named_struct((("node", sql), ("open", is_open)))


def _state(nodes: str, scope: Scope) -> str:
    """The nodes, and whether any of them has yet to be looked below."""
    name, item = scope.fresh("nodes"), scope.fresh("node")
    more = f"exists({name}, {item} -> {item}.open)"
    fields = named_struct((("nodes", name), ("more", more)))
    return f"get(transform(array({nodes}), {name} -> {fields}), 0)"


def _children(paths: Sequence[str], scope: Scope, parent: Value, kind: str) -> str:
    """The nodes one step below, path after path, as an array that is never NULL."""
    arrays = [f"CAST(array() AS ARRAY<{shape_type(kind)}>)"]
    for path in paths:
        if _applies(path, parent.type):
            value = Compiler(path, replace(scope, focus=parent)).compile()
            arrays.append(f"coalesce({value.array}, array())")
    return f"concat({', '.join(arrays)})"


def _applies(path: str, type_name: str) -> bool:
    """Whether a path can lead anywhere from a type: `answer.item` does from an item, not from the root."""
    node: Node | None = parse(path)
    head = node
    while node is not None:
        head, node = node, node.source if isinstance(node, Member | Call | Index) else None
    node = head
    if isinstance(node, Member):
        return element_model().element(type_name, node.name) is not None
    return True


def node_type(paths: Sequence[str], scope: Scope) -> str:
    """The one type that all nodes have."""
    # Types alone matter here: what the paths read is registered when they are compiled for good.
    scope = replace(scope, shapes={})
    seen: set[str] = set()
    pending = [replace(scope.focus, need=Need(STRUCT, False, scope.focus.type))]
    while pending:
        parent = pending.pop()
        for path in paths:
            if not _applies(path, parent.type):
                continue
            value = Compiler(path, replace(scope, focus=parent)).compile()
            if value.need is None:
                raise FhirPathTypeError(
                    f"repeat needs structures; `{path}` gives {value.type}", expression=path
                )
            if value.type not in seen:
                seen.add(value.type)
                pending.append(value.single("_probe"))
    if len(seen) != 1:
        reason = f"repeat over several types ({', '.join(sorted(seen))}) is not supported"
        if not seen:
            reason = f"{scope.focus.type} has none of the elements that repeat names"
        raise FhirPathTypeError(reason, expression=paths[0])
    return seen.pop()
