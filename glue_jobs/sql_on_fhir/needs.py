"""What a view needs of a resource: the tree of JSON keys, which becomes the schema that Spark parses with.

Spark's JSON parser skips what the schema does not name, so a small tree is the first rule of speed. All views of
one resource type share one tree, hence one parse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from glue_jobs.sql_on_fhir.errors import FhirPathTypeError
from glue_jobs.sql_on_fhir.sql import quote_name, quote_text

STRING, BOOLEAN, INTEGER, STRUCT = "STRING", "BOOLEAN", "INT", "STRUCT"
TEXT = "TEXT"  # an object as the JSON that it is, for what a repeat goes through
_SCALARS = {"boolean": BOOLEAN, "integer": INTEGER, "positiveInt": INTEGER, "unsignedInt": INTEGER}


def storage(fhir_type: str, *, primitive: bool) -> str:
    """How a JSON value of the type is read. Decimals are text, so that 1.50 stays 1.50."""
    return _SCALARS.get(fhir_type, STRING) if primitive else STRUCT


class _Keys(dict[str, "Need"]):
    """The keys below a need. Needs that were joined have one `_Keys` in common, the last of the chain `moved`."""

    moved: _Keys | None = None


@dataclass
class Need:
    """One JSON key that is needed; `kind` is a storage type, `repeats` says that it holds an array.

    `fhir_type` serves error reports. A struct without children is needed only for whether it is there. `nodes`, of
    a TEXT only, is what is needed of each of its objects: the same for all of a type, also for those within.
    """

    kind: str
    repeats: bool
    fhir_type: str
    nodes: Need | None = None
    _keys: _Keys = field(default_factory=_Keys)

    @property
    def children(self) -> dict[str, Need]:
        """The needs below this one, by key."""
        while self._keys.moved is not None:
            self._keys = self._keys.moved
        return self._keys

    def child(self, key: str, kind: str, repeats: bool, fhir_type: str, nodes: Need | None = None) -> Need:
        """The need below this one for `key`, added where it is new."""
        existing = self.children.setdefault(key, Need(kind, repeats, fhir_type, nodes))
        if (existing.kind, existing.repeats) != (kind, repeats):
            raise FhirPathTypeError(
                f"`{key}` is read both as {existing.fhir_type} and as {fhir_type}; put them in separate views"
            )
        return existing

    def join(self, other: Need) -> None:
        """Keep two needs alike from now on, whoever reads more of either: Spark joins only arrays of one type.

        Below them is one tree for both, so joined needs cost no memory, however many levels of them there are.
        """
        self._unite(other)
        if self._loops(frozenset(), set()):
            raise FhirPathTypeError(
                f"one {self.fhir_type} is within the other, which no type can say; put them in separate views"
            )

    def _unite(self, other: Need) -> None:
        mine, theirs = self.children, other.children
        if mine is theirs:
            return
        other._keys.moved = self._keys
        for key, need in theirs.items():
            self.child(key, need.kind, need.repeats, need.fhir_type, need.nodes)._unite(need)

    def _loops(self, above: frozenset[int], clear: set[int]) -> bool:
        """Whether anything here is within itself; `clear` has what was looked at already."""
        here = id(self.children)
        if here in above:
            return True
        if here not in clear:
            if any(need._loops(above | {here}, clear) for need in self.children.values()):
                return True
            clear.add(here)
        return False

    def written_out(self, levels: int) -> Need:
        """The same as structures, so many levels of what is read as text; what is below stays text."""
        if self.nodes is None:
            return self._with({key: child.written_out(levels) for key, child in self.children.items()})
        if not levels:
            return self
        children = {key: child.written_out(levels - 1) for key, child in self.nodes.children.items()}
        return replace(self, kind=STRUCT, nodes=None)._with(children)

    def _with(self, children: Mapping[str, Need]) -> Need:
        return replace(self, _keys=_Keys(children))

    def ddl(self) -> str:
        """The type as Spark DDL."""
        inner = STRING if self.kind == TEXT else self.kind
        if self.kind == STRUCT:
            fields = ", ".join(f"{quote_name(k)}: {c.ddl()}" for k, c in sorted(self.children.items()))
            inner = f"STRUCT<{fields}>"
        return f"ARRAY<{inner}>" if self.repeats else inner

    def fields_ddl(self) -> str:
        """The children as the column list of a schema."""
        return ", ".join(f"{quote_name(k)} {c.ddl()}" for k, c in sorted(self.children.items()))

    def holders(self, fhir_type: str) -> dict[str, frozenset[str]]:
        """Every key, at any depth, whose value is of the FHIR type: with the keys of the objects that hold it.

        The holder is "" where it is the resource itself or stands in an array.
        """
        found: dict[str, frozenset[str]] = {}
        self._holders("", fhir_type, found, set())
        return found

    def _holders(
        self, name: str, fhir_type: str, found: dict[str, frozenset[str]], seen: set[tuple[str, int]]
    ) -> None:
        if (name, id(self.children)) in seen:
            return
        seen.add((name, id(self.children)))
        for key, child in self.children.items():
            if child.fhir_type == fhir_type:
                found[key] = found.get(key, frozenset()) | {name}
            (child.nodes or child)._holders("" if child.repeats else key, fhir_type, found, seen)


def shape_schema(kind: str) -> str:
    """What stands in SQL for the schema of the nodes of a type, until all that is read of them is known."""
    return f"<schema of {kind}>"


def shape_type(kind: str) -> str:
    """The same for their Spark type."""
    return f"<type of {kind}>"


def fill_shapes(sql: str, shapes: Mapping[str, Need]) -> str:
    """SQL with what stands for schemas and types replaced."""
    for kind, shape in shapes.items():
        sql = sql.replace(shape_schema(kind), quote_text(shape.fields_ddl()))
        sql = sql.replace(shape_type(kind), shape.ddl())
    return sql


def root_need(resource_type: str) -> Need:
    """The tree of a resource type: its type and id are always read, the one to select by, the other to report."""
    need = Need(STRUCT, False, resource_type)
    need.child("resourceType", STRING, False, "code")
    need.child("id", STRING, False, "id")
    return need
