"""What a query answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class QueryResult:
    """Columns by position (names may repeat), their Athena types, and rows of plain Python values.

    ``notes`` are remarks for whoever asked, such as that a table has no partitions yet.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()

    def records(self) -> Iterator[dict[str, Any]]:
        """Each row by column name; of columns with one name the last counts."""
        for row in self.rows:
            yield dict(zip(self.columns, row, strict=True))
