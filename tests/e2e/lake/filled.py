"""The curated tables as an analyst finds them: which columns never have a value, which keys lead nowhere."""

from __future__ import annotations

import re

from glue_jobs.curation.declarations import Declarations
from local.commands.query import ask
from local.stack import Stack
from schemas.model import Model
from schemas.view import View

_JOINED = re.compile(r"([a-z_]+)\.resource_key")


def _tables(declarations: Declarations) -> list[tuple[str, View | Model]]:
    return [*declarations.views.items(), *declarations.models.items()]


def row_counts_and_empty_columns(lake: Stack, declarations: Declarations) -> dict[str, tuple[int, set[str]]]:
    """By table, its number of rows and the columns that are null in all of them."""
    columns = {name: [column.name for column in table.columns] for name, table in _tables(declarations)}
    parts = [
        f"select '{name}' as name, count(*) as n, array[{', '.join(f'count({each})' for each in of)}] as filled"
        f" from curated.{name}"
        for name, of in columns.items()
    ]
    return {
        name: (rows, {column for column, count in zip(columns[name], filled, strict=True) if not count})
        for name, rows, filled in ask(lake, " union all ".join(parts)).rows
    }


def keys_that_lead_nowhere(lake: Stack, declarations: Declarations) -> dict[str, int]:
    """By ``table.column``, how many values join no row of the tables that the column's description names."""
    parts = []
    for name, table in _tables(declarations):
        for column in table.columns:
            joined = set(_JOINED.findall(column.description)) & declarations.views.keys()
            if joined:
                keys = " union all ".join(
                    f"select resource_key from curated.{each}" for each in sorted(joined)
                )
                parts.append(
                    f"select '{name}.{column.name}' as name, count(*) as n from curated.{name}"
                    f" where {column.name} is not null and {column.name} not in ({keys})"
                )
    assert len(parts) > 100
    return {name: count for name, count in ask(lake, " union all ".join(parts)).rows if count}
