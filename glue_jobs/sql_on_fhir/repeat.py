"""`repeat`: the nodes that paths reach when followed again and again, in depth-first order.

Spark has no recursion, but FHIR types are finite at any given depth: the levels are written out, one `transform`
inside the other, down to `depth`. How deep the data goes is measured before a plan runs (`Repeat.depth_sql`);
data that is deeper all the same stops the query. What a node looks like differs from level to level, since each
holds the next, so every node is cut to the fields that the columns read (`_project`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from glue_jobs.sql_on_fhir.compiler import Compiler, Scope
from glue_jobs.sql_on_fhir.errors import FhirPathTypeError
from glue_jobs.sql_on_fhir.needs import STRUCT, Need
from glue_jobs.sql_on_fhir.parser import parse
from glue_jobs.sql_on_fhir.sql import case, fail, field, named_struct
from glue_jobs.sql_on_fhir.syntax import Call, Index, Member, Node
from glue_jobs.sql_on_fhir.values import Value
from schemas.fhir import element_model


@dataclass
class Repeat:
    """One `repeat` of a view. `shape` collects what the columns read of a node, while they are compiled."""

    paths: tuple[str, ...]
    scope: Scope
    depth: int
    token: str
    shape: Need
    type: str

    @classmethod
    def start(cls, paths: tuple[str, ...], scope: Scope, depth: int) -> Repeat:
        """Find the type of the nodes; the SQL follows when everything that reads them is known."""
        kind = _node_type(paths, scope)
        token = f"<repeat {next(scope.names)}>"
        return cls(paths, scope, depth, token, Need(STRUCT, False, kind), kind)

    @property
    def nodes(self) -> Value:
        """All nodes, root excluded; its SQL is a token that `resolve` knows the meaning of."""
        return Value(self.token, self.type, many=True, clean=True, need=self.shape)

    def resolve(self, measure: bool = False) -> str:
        """The SQL of the nodes. Where depths are measured, nodes too deep are left out instead of failing."""
        return self._level(self.scope.focus, 1, measure)

    def _level(self, parent: Value, level: int, measure: bool) -> str:
        children = self._children(parent)
        if children is None:
            return self._none()
        if level > self.depth:
            if measure:
                return self._none()
            message = f"`repeat` goes deeper than the {self.depth} levels that were measured; run again"
            return case((children.present, fail(message)), otherwise=self._none())
        assert children.need is not None
        children.need.merge(self.shape)
        name = self.scope.fresh("n")
        node = children.single(name)
        own = f"array({_project(name, self.shape)})"
        below = self._level(node, level + 1, measure)
        return f"coalesce(flatten(transform({children.array}, {name} -> concat({own}, {below}))), {self._none()})"

    def _none(self) -> str:
        return f"CAST(array() AS ARRAY<{self.shape.ddl()}>)"

    def _children(self, parent: Value) -> Value | None:
        """The nodes one step below, over all paths."""
        found = []
        for path in self.paths:
            if _applies(path, parent.type):
                value = Compiler(path, replace(self.scope, focus=parent)).compile()
                found.append(value if value.many else value.array_of(value.array))
        if not found:
            return None
        compiler = Compiler(self.paths[0], self.scope)
        if len({value.sql for value in found}) == 1:
            return found[0]
        return replace(compiler.either(found), need=found[0].need)

    def depth_sql(self) -> str:
        """How many levels a resource has, as an expression; one more than `depth` stands for anything deeper.

        It is about whole resources: the iterations around the repeat are gone through once more.
        """
        sql = self._depth(self.scope.focus, 1)
        for array, item in reversed(self.scope.around):
            sql = f"coalesce(array_max(transform({array}, {item} -> {sql})), 0)"
        return sql

    def _depth(self, parent: Value, level: int) -> str:
        children = self._children(parent)
        if children is None:
            return "0"
        if level > self.depth:
            return case((children.present, "1"), otherwise="0")
        name = self.scope.fresh("n")
        below = self._depth(children.single(name), level + 1)
        deepest = f"array_max(transform({children.array}, {name} -> 1 + {below}))"
        return f"coalesce({deepest}, 0)"


def _project(sql: str, shape: Need) -> str:
    """A struct or array of structs, cut to the fields of `shape`."""
    if shape.kind != STRUCT:
        return sql
    if shape.repeats:
        item = "_p" + str(sql.count("_p") + 1)
        inner = _project(item, replace(shape, repeats=False))
        return f"transform({sql}, {item} -> {inner})"
    if not shape.children:
        return case((f"{sql} IS NOT NULL", "named_struct()"))
    fields = [(key, _project(field(sql, key), child)) for key, child in sorted(shape.children.items())]
    return case((f"{sql} IS NOT NULL", named_struct(fields)))


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


def _node_type(paths: tuple[str, ...], scope: Scope) -> str:
    """The one type that all nodes have."""
    probe = replace(scope.focus, need=Need(STRUCT, False, scope.focus.type))
    seen: set[str] = set()
    pending = [probe]
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
