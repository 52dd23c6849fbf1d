"""The typed values that expressions compile to: Spark SQL text plus what FHIRPath knows about it.

A FHIRPath collection is held in one of two ways, decided at compile time: `many` values are Spark arrays, all
others are scalars whose NULL is the empty collection. Most paths of most views are scalars, which Spark turns
into plain Java code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from glue_jobs.sql_on_fhir.needs import Need
from glue_jobs.sql_on_fhir.sql import compact
from schemas.fhir import Element

TEXT = frozenset(
    ["string", "code", "uri", "url", "canonical", "id", "oid", "uuid", "markdown", "base64Binary", "xhtml"]
)  # fmt: skip
INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt", "integer64"})
NUMBERS = INTEGERS | {"decimal"}
DATES = frozenset({"date", "dateTime", "instant"})
EMPTY = "{}"


@dataclass(frozen=True)
class Value:
    """One compiled expression.

    `clean` arrays hold no nulls. `need` is where the JSON keys below a structure are registered; `parent` and
    `key` say which JSON key a primitive came from, for its `_key` twin with extensions. An unresolved choice
    (`value[x]` before ofType) has its `choice` element and its owner as `parent`, and no SQL yet. `numeric`
    decimals are Spark decimals, others are text as written.
    """

    sql: str
    type: str
    many: bool = False
    clean: bool = True
    need: Need | None = None
    parent: Value | None = None
    key: str = ""
    choice: Element | None = None
    numeric: bool = False
    literal: str | None = None

    @property
    def family(self) -> str:
        """The group of types within which values compare."""
        for name, members in (("text", TEXT), ("number", NUMBERS), ("date", DATES)):
            if self.type in members:
                return name
        return self.type

    @property
    def array(self) -> str:
        """The collection as an array without nulls; NULL or empty where there is nothing."""
        if not self.many:
            return compact(f"array({self.sql})")
        return self.sql if self.clean else compact(self.sql)

    @property
    def present(self) -> str:
        """True if the collection has an item, else false."""
        if not self.many:
            return f"({self.sql} IS NOT NULL)"
        if self.clean:
            return f"(get({self.sql}, 0) IS NOT NULL)"
        return f"coalesce(get({self.sql}, 0) IS NOT NULL OR exists({self.sql}, _e -> _e IS NOT NULL), false)"

    @property
    def first(self) -> str:
        """The first item as a scalar."""
        if not self.many:
            return self.sql
        if self.clean:
            return f"get({self.sql}, 0)"
        # Nulls inside arrays are rare: the cheap look at the first slot nearly always answers.
        return f"coalesce(get({self.sql}, 0), get({compact(self.sql)}, 0))"

    def single(self, sql: str) -> Value:
        """An item of this collection that is held in `sql`."""
        return replace(self, sql=sql, many=False, clean=True, parent=None, key="", literal=None)

    def array_of(self, sql: str) -> Value:
        """Some items of this collection, held in the array `sql`, which has no nulls."""
        return replace(self, sql=sql, many=True, clean=True, parent=None, key="", literal=None)


def boolean(sql: str) -> Value:
    """A FHIRPath boolean."""
    return Value(sql, "boolean")


EMPTY_VALUE = Value("NULL", EMPTY)
