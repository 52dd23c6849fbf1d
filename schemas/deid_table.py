"""What the de-identified twin shows: one YAML file per curated table under ``schemas/deid/``.

Each column of the table stands under exactly one treatment. A column under none is not in the twin, and a table
without a file has no twin: what nobody judged is not published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from schemas.declaration import SCHEMAS_DIR, Declaration, declaration_files, read_declaration
from schemas.errors import SchemaError
from schemas.model import Model
from schemas.view import View

DEID_DIR = SCHEMAS_DIR / "deid"
TREATMENTS: Mapping[str, str] = {
    "keep": "as it is",
    "key": "keyed hash",
    "date": "shifted, or its year",
    "age": "90 and over as 90",
    "zip": "first three digits",
    "measure": "as it is, unless it is an age",
}
"""What may be done to a column that the twin has, in words for readers."""
DROPPED: Mapping[str, str] = {
    "names": "names",
    "places": "places smaller than a state",
    "contacts": "telephone, fax, e-mail",
    "numbers": "record, account, plan and licence numbers",
    "devices": "device identifiers and serial numbers",
    "web": "web addresses",
    "dates": "dates that no shift hides",
    "free_text": "free text",
    "other": "other unique codes",
}
"""Why a column is left out, in words for readers."""


@dataclass(frozen=True)
class DeidTable:
    """The treatment of each column of one curated table.

    ``treatments`` maps a column to one of ``TREATMENTS``. ``besides`` maps an age to the time at which it was
    reached, a ZIP code to its country, and a measure to the code of what was measured. ``dropped`` maps a column to one of ``DROPPED``. ``subject`` is the
    column whose value chooses by how many days the row's dates are shifted; None where it has no dates.
    """

    table: str
    subject: str | None
    treatments: Mapping[str, str]
    besides: Mapping[str, str]
    dropped: Mapping[str, str]
    file: Path

    @cached_property
    def columns(self) -> frozenset[str]:
        """Every column that the file judges."""
        return frozenset((*self.treatments, *self.dropped))


def read_deid_table(file: Path) -> DeidTable:
    """The declaration in one YAML file, which is named for the curated table.

    Raises
    ------
    SchemaError : naming the file and the field
    """
    fields = read_declaration(file)
    fields.allow_only(("table", "subject", *TREATMENTS, "drop"))
    table = fields.sql_name("table")
    if table != file.stem:
        raise fields.error("table", f"{table!r} must be the file's name, {file.stem!r}")
    subject = fields.text("subject") if "subject" in fields.value else None
    treatments: dict[str, str] = {}
    besides: dict[str, str] = {}
    dropped: dict[str, str] = {}
    for field, column, besides_column in _treated(fields):
        if column in treatments or column in dropped:
            raise fields.error(field, f"{column!r} has a treatment already")
        if field.startswith("drop."):
            dropped[column] = field.removeprefix("drop.")
        else:
            treatments[column] = field
        if besides_column:
            besides[column] = besides_column
    if subject is None and "date" in treatments.values():
        raise fields.error("subject", "is missing: by whose offset are the dates shifted?")
    return DeidTable(table, subject, treatments, besides, dropped, file)


def _treated(fields: Declaration) -> Iterator[tuple[str, str, str]]:
    """Field, column, and the column it is judged with (empty: none)."""
    for field in ("keep", "key", "date"):
        for column in fields.texts(field):
            yield field, column, ""
    for field in ("age", "zip", "measure"):
        if field in fields.value:
            pairs = fields.child(field)
            for column in pairs.value:
                yield field, str(column), pairs.text(str(column))
    if "drop" in fields.value:
        drop = fields.child("drop")
        drop.allow_only(DROPPED)
        for reason in drop.value:
            for column in drop.texts(str(reason)):
                yield f"drop.{reason}", column, ""


def load_deid_tables(folder: Path = DEID_DIR) -> dict[str, DeidTable]:
    """Every declaration, by table.

    Raises
    ------
    SchemaError : a file is wrong
    """
    return {each.table: each for each in map(read_deid_table, declaration_files(folder, ".yaml"))}


def check_deid_tables(deid: Mapping[str, DeidTable], tables: Iterable[View | Model]) -> None:
    """Refuse a declaration of a table or a column that does not exist: it would protect nothing.

    Raises
    ------
    SchemaError : naming the file and the column
    """
    columns = {each.name: {column.name for column in each.columns} for each in tables}
    for each in deid.values():
        if each.table not in columns:
            raise SchemaError(each.file, "table", f"{each.table!r} is neither a view nor a model")
        named = sorted({*each.columns, *each.besides.values(), *filter(None, [each.subject])})
        for column in named:
            if column not in columns[each.table]:
                raise SchemaError(each.file, column, f"{each.table} has no such column")


def undeclared(
    deid: Mapping[str, DeidTable], tables: Iterable[View | Model], folder: Path = DEID_DIR
) -> list[SchemaError]:
    """The columns that nobody judged, and that the twin therefore lacks: an error for each, of file and column."""
    found = []
    for each in tables:
        declared = deid.get(each.name)
        file = folder / f"{each.name}.yaml"
        if declared is None:
            found.append(SchemaError(file, "", f"no such file, so {each.name} has no de-identified twin"))
            continue
        found += [
            SchemaError(declared.file, column.name, "has no treatment, so the de-identified twin lacks it")
            for column in each.columns
            if column.name not in declared.columns
        ]
    return found
