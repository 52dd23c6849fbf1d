"""What is to be curated: the views, models and suites of one ``schemas/`` folder, checked together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas import SCHEMAS_DIR, SchemaError
from schemas.deid_table import DeidTable, check_deid_tables, load_deid_tables
from schemas.expectation import Suite, load_suites
from schemas.item_type import load_item_types
from schemas.layout import LAYOUTS_FILE, Layouts, load_layouts
from schemas.model import Model, load_models
from schemas.view import View, load_views

CURATED = "watershed_curated"
DATABASES: Mapping[str, str] = {"curated": CURATED, "conformed": "watershed_conformed"}
_NOT_NULL = "expect_column_values_to_not_be_null"
_UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
_FOR_READERS = frozenset({"description", "title", "status", "publisher", "contact", "purpose", "copyright"})


@dataclass(frozen=True)
class Declarations:
    """Views by name, models by name (each after those it reads), suites by table, how tables lie on disk, and by
    table what the de-identified twin shows."""

    views: Mapping[str, View]
    models: Mapping[str, Model]
    suites: Mapping[str, Suite]
    layouts: Layouts = field(default_factory=Layouts)
    deid: Mapping[str, DeidTable] = field(default_factory=dict)


def load_declarations(folder: Path = SCHEMAS_DIR) -> Declarations:
    """The declarations in ``views/``, ``models/``, ``expectations/``, ``deid/`` and ``items/``, and the layouts.

    Raises
    ------
    SchemaError : a file is wrong, two tables have one name, a model reads what nothing declares, a
        table has no suite, a suite or a layout no table, or the twin would show a column that does not exist
    """
    views = load_views(folder / "views")
    models = load_models(folder / "models")
    suites = load_suites(folder / "expectations")
    items = {each.sql_name for each in load_item_types(folder / "items").values()}
    for model in models.values():
        if model.name in views:
            raise SchemaError(model.file, "name", f"{model.name!r} is also a view; name it otherwise")
        _check_dependencies(model, {"curated": {*views, *models}, "conformed": items})
    files = {view.name: view.file for view in views.values()}
    files.update({model.name: model.file for model in models.values()})
    for name, file in files.items():
        if name not in suites:
            problem = f"has no expectation suite, and only audited tables are published: write {name}.yaml"
            raise SchemaError(file, "", problem)
    for name, suite in suites.items():
        if name not in files:
            raise SchemaError(suite.file, "table", f"{name!r} is neither a view nor a model")
        _check_keys_halt(suite, (views | models)[name].key)
    for model in models.values():
        _check_key_is_unique(model, suites[model.name])
    layouts = load_layouts(folder / LAYOUTS_FILE.name)
    for name in layouts.tables:
        zone, _, table = name.partition(".")
        if zone == "curated" and table not in files:
            raise SchemaError(layouts.file, f"tables.{name}", f"{table!r} is neither a view nor a model")
        if zone == "curated":
            _check_layout(layouts, name, (views | models)[table])
    deid = load_deid_tables(folder / "deid")
    check_deid_tables(deid, (*views.values(), *models.values()))
    return Declarations(views, models, suites, layouts, deid)


def _check_layout(layouts: Layouts, name: str, table: View | Model) -> None:
    layout, columns = layouts.tables[name], {column.name for column in table.columns}
    for column in (*layout.sort_by, *layout.statistics):
        if column not in columns:
            raise SchemaError(layouts.file, f"tables.{name}", f"{table.name} has no column {column!r}")


def _check_dependencies(model: Model, tables: Mapping[str, set[str]]) -> None:
    for dependency in model.depends_on:
        if dependency.table not in tables[dependency.zone]:
            known = ", ".join(sorted(tables[dependency.zone]))
            problem = f"{dependency.zone}.{dependency.table} is not declared; declared are {known}"
            raise SchemaError(model.file, f"depends_on.{dependency.alias}.table", problem)


def view_fingerprint(view: View, suite: Suite) -> str:
    """Hash of what decides a view's rows: all of its definition but the words for readers, and what rows
    must hold."""
    return _hash(_with_rules(_without_words(view.definition), suite))


def model_fingerprint(model: Model, suite: Suite) -> str:
    """Hash of what decides a model's rows: SQL, columns, key and dependencies, and what rows must hold."""
    reads = sorted((each.alias, each.zone, each.table) for each in model.depends_on)
    made = [model.sql, [column.name for column in model.columns], list(model.key), reads]
    return _hash(_with_rules(made, suite))


def _with_rules(made: object, suite: Suite) -> object:
    rules = [[rule.type, dict(rule.arguments)] for rule in suite.row_rules]
    return [made, rules] if rules else made


def _check_keys_halt(suite: Suite, key: Sequence[str]) -> None:
    for index, rule in enumerate(suite.expectations):
        about_key = rule.type == _NOT_NULL and rule.arguments.get("column") in key
        if about_key and rule.severity == "quarantine":
            problem = "a row without its key could never be found again to come back; let it halt"
            raise SchemaError(suite.file, f"expectations[{index}].severity", problem)


def _check_key_is_unique(model: Model, suite: Suite) -> None:
    """Rows are replaced by their key: one that is not unique must never be published."""
    for each in suite.expectations:
        about = each.arguments.get("column_list", [each.arguments.get("column")])
        if each.type in _UNIQUE and set(about) == set(model.key) and each.severity == "halt":
            return
    kind = _UNIQUE[len(model.key) > 1]
    key = ", ".join(model.key)
    raise SchemaError(suite.file, "expectations", f"must expect with {kind} that the key ({key}) is unique")


def _without_words(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_words(each) for key, each in value.items() if key not in _FOR_READERS}
    if isinstance(value, list):
        return [_without_words(each) for each in value]
    return value


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
