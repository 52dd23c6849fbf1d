"""What an expression is compiled in: its focus, the resource, constants, and the names that are taken."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from glue_jobs.sql_on_fhir.needs import Need
from glue_jobs.sql_on_fhir.values import Value


@dataclass(frozen=True)
class Scope:
    """What an expression can see besides its own text."""

    focus: Value
    resource: Value
    constants: Mapping[str, Value] = field(default_factory=dict)
    row_index: str = "0"
    # what is needed of the nodes of each type that some repeat goes through
    shapes: Mapping[str, Need] = field(default_factory=dict)
    names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def fresh(self, prefix: str = "x") -> str:
        """A name for a lambda variable that nothing else uses."""
        return f"_{prefix}{next(self.names)}"
