"""Views: SQL on FHIR v2 ViewDefinitions, one JSON file per flat FHIR table under ``schemas/views/``.

Only what every reader needs is read here (name, resource, the columns' descriptions); compiling and the
specification's validation belong to ``glue_jobs.sql_on_fhir``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.declaration import SCHEMAS_DIR, declaration_files, read_declaration
from schemas.errors import SchemaError

VIEWS_DIR = SCHEMAS_DIR / "views"
KEY_COLUMN = "resource_key"
"""Every view row carries the key of its resource, so that a run can replace the rows of what changed."""


@dataclass(frozen=True)
class View:
    """A ViewDefinition and the curated table it fills; ``name`` is the table's name."""

    name: str
    resource: str
    description: str
    definition: Mapping[str, Any]
    file: Path


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
