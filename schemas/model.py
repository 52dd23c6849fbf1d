"""Models: curated joins, one SQL file and one YAML file each under ``schemas/models/``.

The SQL is a Spark SQL select that reads the tables by the short names under ``depends_on``. For each of
them the YAML says which keys of the model a change there reaches: ``changed_keys`` is a select over
``changed``, the rows (as they were and as they are) of what changed in that table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.declaration import SCHEMAS_DIR, Declaration, declaration_files, read_declaration
from schemas.errors import SchemaError

MODELS_DIR = SCHEMAS_DIR / "models"
ZONES = ("conformed", "curated")


@dataclass(frozen=True)
class ModelColumn:
    name: str
    description: str
    phi: bool = False


@dataclass(frozen=True)
class Dependency:
    """A table that a model reads: ``alias`` in its SQL, ``zone.table`` in the lake."""

    alias: str
    zone: str
    table: str
    changed_keys: str


@dataclass(frozen=True)
class Model:
    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[ModelColumn, ...]
    depends_on: tuple[Dependency, ...]
    sql: str
    file: Path

    @property
    def sql_file(self) -> Path:
        return self.file.with_suffix(".sql")


def _dependency(alias: str, fields: Declaration) -> Dependency:
    fields.allow_only(("table", "changed_keys"))
    zone, _, table = fields.text("table").partition(".")
    if zone not in ZONES or not table:
        raise fields.error("table", f"must be one of {' or '.join(f'{each}.<table>' for each in ZONES)}")
    return Dependency(alias, zone, table, fields.text("changed_keys"))


def read_model(file: Path) -> Model:
    """The model that one YAML file and the SQL file beside it declare.

    Raises
    ------
    SchemaError : naming the file and the field
    """
    fields = read_declaration(file)
    fields.allow_only(("name", "description", "grain", "key", "columns", "depends_on"))
    name = fields.sql_name("name")
    if name != file.stem:
        raise fields.error("name", f"{name!r} must be the file's name, {file.stem!r}")
    columns = []
    for column, each in fields.children("columns"):
        each.allow_only(("description", "phi"))
        columns.append(ModelColumn(column, each.text("description"), each.flag("phi")))
    key = fields.texts("key", required=True)
    for column in key:
        if column not in {each.name for each in columns}:
            raise fields.error("key", f"{column!r} is not among the columns")
    sql_file = file.with_suffix(".sql")
    if not sql_file.is_file():
        raise SchemaError(sql_file, "", f"no such file: the select of the model {name!r} belongs there")
    return Model(
        name=name,
        description=fields.text("description"),
        grain=fields.text("grain"),
        key=key,
        columns=tuple(columns),
        depends_on=tuple(_dependency(alias, each) for alias, each in fields.children("depends_on")),
        sql=sql_file.read_text(encoding="utf-8"),
        file=file,
    )


def load_models(folder: Path = MODELS_DIR) -> dict[str, Model]:
    """Every model, by name, each after the curated models it reads.

    Raises
    ------
    SchemaError : a file is wrong, or models read each other in a circle
    """
    models = {model.name: model for model in map(read_model, declaration_files(folder, ".yaml"))}
    ordered: dict[str, Model] = {}

    def place(model: Model, path: tuple[str, ...]) -> None:
        if model.name in ordered:
            return
        read = [each for each in model.depends_on if each.zone == "curated" and each.table in models]
        path = (*path, model.name)
        for dependency in read:
            if dependency.table in path:
                circle = " -> ".join((*path[path.index(dependency.table) :], dependency.table))
                field = f"depends_on.{dependency.alias}.table"
                raise SchemaError(model.file, field, f"models read each other in a circle: {circle}")
            place(models[dependency.table], path)
        ordered[model.name] = model

    for model in models.values():
        place(model, ())
    return ordered
