"""Views: SQL on FHIR v2 ViewDefinitions, one JSON file per flat FHIR table under ``schemas/views/``.

Only what every reader needs is read here (name, resource, the columns' descriptions); compiling and the
specification's validation belong to ``glue_jobs.sql_on_fhir``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from schemas.declaration import SCHEMAS_DIR, declaration_files, read_declaration
from schemas.errors import SchemaError

VIEWS_DIR = SCHEMAS_DIR / "views"
KEY_COLUMN = "resource_key"
"""Every view row carries the key of its resource, so that a run can replace the rows of what changed."""
PHI_TAG = "watershed/phi"
"""A column tag of this name with the value ``true`` marks what identifies a patient by itself."""
_REFERENCE = re.compile(r"getReferenceKey\(\s*([A-Za-z]+)\s*\)")


@dataclass(frozen=True)
class ViewColumn:
    """One column of a view; ``type`` and ``description`` are empty where the file does not give them."""

    name: str
    path: str
    type: str
    description: str
    phi: bool = False

    @property
    def references(self) -> str | None:
        """The resource type whose key the column holds, for a reference."""
        found = _REFERENCE.search(self.path)
        return found[1] if found else None


@dataclass(frozen=True)
class View:
    """A ViewDefinition and the curated table it fills; ``name`` is the table's name."""

    name: str
    resource: str
    description: str
    definition: Mapping[str, Any]
    file: Path

    @property
    def key(self) -> tuple[str, ...]:
        """The columns by which the rows of one resource are found, as a model's key finds its rows."""
        return (KEY_COLUMN,)

    @cached_property
    def columns(self) -> tuple[ViewColumn, ...]:
        """The table's columns, in order; of a union those of its first branch, which the others repeat."""
        return tuple(map(_column, _columns(self.definition.get("select", ()))))


def _columns(selects: Any) -> Iterator[Mapping[str, Any]]:
    for select in selects:
        yield from select.get("column", ())
        yield from _columns(select.get("select", ()))
        yield from _columns(select.get("unionAll", ())[:1])


def _column(column: Mapping[str, Any]) -> ViewColumn:
    tags = {each.get("name"): each.get("value") for each in column.get("tag", ())}
    return ViewColumn(
        name=column["name"],
        path=column["path"],
        type=column.get("type", ""),
        description=column.get("description", ""),
        phi=tags.get(PHI_TAG) == "true",
    )


def read_view(file: Path) -> View:
    """The ViewDefinition in one JSON file.

    Raises
    ------
    SchemaError : naming the file and the field
    """
    fields = read_declaration(file)
    name = fields.sql_name("name")
    if name != file.stem:
        raise fields.error("name", f"{name!r} must be the file's name, {file.stem!r}")
    columns = {each.text("name") for select in fields.items("select") for each in select.items("column")}
    if KEY_COLUMN not in columns:
        raise fields.error("select", f"needs a column {KEY_COLUMN!r} with path getResourceKey()")
    return View(name, fields.text("resource"), fields.text("description"), fields.value, file)


def load_views(folder: Path = VIEWS_DIR) -> dict[str, View]:
    """Every view, by name.

    Raises
    ------
    SchemaError : a file is wrong
    """
    views = {}
    for file in declaration_files(folder, ".json"):
        view = read_view(file)
        if view.name in views:
            raise SchemaError(file, "name", f"{view.name!r} is declared in two files")
        views[view.name] = view
    return views
