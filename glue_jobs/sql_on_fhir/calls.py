"""One call of a function: what the builders in `functions` and `strings` are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glue_jobs.sql_on_fhir.syntax import Call
from glue_jobs.sql_on_fhir.values import Value

if TYPE_CHECKING:
    from glue_jobs.sql_on_fhir.compiler import Compiler


@dataclass(frozen=True)
class Use:
    """One call: the compiler, the node, what it is called on and the `$this` outside of it."""

    compiler: Compiler
    node: Call
    source: Value
    this: Value

    def argument(self, index: int = 0) -> Value:
        """An argument that is evaluated once, outside of the source."""
        return self.compiler.visit(self.node.arguments[index], self.this)

    def has(self, index: int = 0) -> bool:
        return len(self.node.arguments) > index

    def literal(self, index: int, types: frozenset[str], what: str) -> str:
        """An argument that must be a literal or constant."""
        value = self.argument(index)
        if value.literal is None or value.type not in types:
            raise self.wrong(f"{self.node.name} takes {what}")
        return value.literal

    def wrong(self, reason: str) -> Exception:
        return self.compiler.wrong(self.node, reason)


# A builder, and the least and the greatest number of arguments it takes.
Entry = tuple[Callable[[Use], Value], int, int]
