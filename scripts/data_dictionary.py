"""The data dictionary from the declarations: ``python -m scripts.data_dictionary`` writes docs/data-dictionary.md.

A test fails while the page is not what the declarations say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from glue_jobs.conform.fhir import RESOURCE_TABLE
from glue_jobs.conform.fhir_deletes import FULL_EXPORT_TABLE
from glue_jobs.curation.declarations import Declarations, load_declarations
from glue_jobs.curation.results import RESULT_TABLE
from glue_jobs.lake.erased import ERASED_TABLE
from glue_jobs.lake.ledger import LEDGER_TABLE
from glue_jobs.lake.quarantine import QUARANTINE_TABLE
from glue_jobs.lake.run import RUN_TABLE
from glue_jobs.lake.tables import TableSpec
from glue_jobs.sql_on_fhir import Plan, compile_views
from schemas import ItemType, load_item_types
from schemas.deid_table import DROPPED, TREATMENTS, DeidTable
from schemas.expectation import Expectation, Suite
from schemas.layout import Layout, Layouts
from schemas.model import Model
from schemas.view import KEY_COLUMN, View

PAGE = Path(__file__).parents[1] / "docs" / "data-dictionary.md"
_NOT_NULL = "expect_column_values_to_not_be_null"
_ITEM_TYPES: Mapping[str, str] = {
    "long": "bigint",
    "decimal": "decimal(38,9)",
    "timestamp_millis": "timestamp",
    "timestamp_seconds": "timestamp",
    "string_set": "array<string>",
    "json": "string",
}

_BY_JOBS = (
    *(RESOURCE_TABLE, RUN_TABLE, RESULT_TABLE, QUARANTINE_TABLE, LEDGER_TABLE, FULL_EXPORT_TABLE),
    ERASED_TABLE,
)
"""What no declaration makes: the resources, and what the jobs write down of themselves."""

_HEAD = """# Data dictionary

Generated from `schemas/` by `python -m scripts.data_dictionary`; do not edit. Curated tables are those that analysts
use: *views*, flat tables of one FHIR resource type each, and *models*, joined over views and items. In Athena they
are in `watershed_curated`; `curated.<table>` is short for that in `watershed query`. Items are in
`watershed_conformed`, as they are now and, in `<table>_history`, as they were. At the end stand the tables for engineers:
the FHIR resources, and in `watershed_ops` what the jobs did.

How to read it:

- **PHI** marks a column that identifies a patient by itself: a name, an address, a number, free text. The other
  columns of a patient's row are protected health information as well, taken together.
- **always** means that a table is published only if every row has a value; **n %** that fewer rows with a value than
  that raise a warning. Every other column is optional: null where the source says nothing.
- **twin** is what `watershed_curated_deid`, where a deployment has it, shows of the column
  ([de-identified twin](deidentify.md)).
- Times are in UTC. A `…_date` or `…_at` column is null where the source is less precise than that; the `…_text`
  column beside it is what was written.
- Of what repeats, a column named without a number holds the first, unless its description says otherwise.
- *Sorted by* says which columns a question should name to read little; *asked as it was* how far back a table
  can be asked (`schemas/layouts.yaml`).
- A key column joins the `resource_key` of the table it names. A reference that is no literal (one by identifier or
  by a search), or to another type, has no key and is null.
"""


def render(declarations: Declarations, items: Sequence[ItemType]) -> str:
    """The page."""
    views, models = declarations.views.values(), declarations.models.values()
    plan = compile_views([view.definition for view in views])
    by_resource = {view.resource: view.name for view in views if view.name == _own_table(view.resource)}
    parts = [_HEAD, "## Tables\n", "| table | kind | holds |\n| --- | --- | --- |"]
    parts += [f"| [{each.name}](#{each.name}) | model | {_cell(each.description)} |" for each in models]
    parts += [f"| [{each.name}](#{each.name}) | view | {_cell(each.description)} |" for each in views]
    parts += [f"| [{_anchor(each)}](#{_anchor(each)}) | item | {_cell(each.description)} |" for each in items]
    parts.append("\n## Models")
    layouts, deid = declarations.layouts, declarations.deid
    parts += [
        _model(each, declarations.suites[each.name], layouts.of("curated", each.name), deid.get(each.name))
        for each in models
    ]
    parts.append("\n## Views")
    parts += [
        _view(
            each,
            declarations.suites[each.name],
            layouts.of("curated", each.name),
            deid.get(each.name),
            plan,
            by_resource,
        )
        for each in views
    ]
    parts.append("\n## Items")
    parts += [_item(each) for each in items]
    parts.append("\n## Tables for engineers")
    parts += [_made_by_jobs(each, layouts) for each in _BY_JOBS]
    return "\n".join(parts) + "\n"


def _model(model: Model, suite: Suite, layout: Layout, deid: DeidTable | None) -> str:
    notes = _notes(suite)
    rows = [
        (
            column.name,
            column.description,
            _note(column.phi, notes.get(column.name)),
            _in_twin(deid, column.name),
        )
        for column in model.columns
    ]
    reads = ", ".join(f"`{each.zone}.{each.table}`" for each in model.depends_on)
    facts = f"Grain: {model.grain}. Key: {', '.join(f'`{each}`' for each in model.key)}. Reads {reads}."
    facts += _laid_out(layout)
    return _section(model.name, model.description, facts, ("column", "holds", "notes", "twin"), rows)


def _view(
    view: View,
    suite: Suite,
    layout: Layout,
    deid: DeidTable | None,
    plan: Plan,
    by_resource: Mapping[str, str],
) -> str:
    notes = _notes(suite)
    types = {output.name: output.spark_type.lower() for output in plan.views[view.name].outputs}
    rows = []
    for column in view.columns:
        note = _note(column.phi, notes.get(column.name))
        twin = _in_twin(deid, column.name)
        rows.append((column.name, types[column.name], column.description, note, twin))
    referred = {each.references for each in view.columns if each.references}
    joined = sorted({by_resource[each] for each in referred if each in by_resource} - {view.name})
    facts = f"From FHIR {view.resource}."
    facts += f" Joins {', '.join(f'[{name}](#{name})' for name in joined)}." if joined else ""
    facts += _laid_out(layout)
    return _section(view.name, view.description, facts, ("column", "type", "holds", "notes", "twin"), rows)


def _in_twin(deid: DeidTable | None, column: str) -> str:
    if deid is None or column not in deid.columns:
        return "left out: not judged yet"
    if column in deid.dropped:
        return f"left out: {DROPPED[deid.dropped[column]]}"
    return TREATMENTS[deid.treatments[column]]


def _laid_out(layout: Layout) -> str:
    days = f"{layout.keep_days} day{'s' if layout.keep_days > 1 else ''}"
    order = f" Sorted by {', '.join(f'`{each}`' for each in layout.sort_by)}." if layout.sort_by else ""
    parts = f" Partitioned by {', '.join(layout.partition_by)}." if layout.partition_by else ""
    return f"{parts}{order} Asked as it was: {days} back."


def _item(item: ItemType) -> str:
    rows = []
    for column in item.columns:
        note = _note(column.phi, "always" if column.required else None)
        description = column.description
        if column.references:
            description += f"; joins {_own_table(column.references)}.id"
        rows.append((column.column, _ITEM_TYPES.get(column.type, column.type), description, note))
    facts = (
        f"From the DynamoDB table `{item.table_name}`. Key: {', '.join(f'`{k.column}`' for k in item.keys)}. "
        f"`watershed_conformed.{item.sql_name}` is the state now, `{item.sql_name}_history` every version. "
        "Attributes that are not declared are in `_extra`, as JSON."
    )
    return _section(_anchor(item), item.description, facts, ("column", "type", "holds", "notes"), rows)


def _made_by_jobs(spec: TableSpec, layouts: Layouts) -> str:
    database, _, table = spec.name.partition(".")
    zone = database.removeprefix("watershed_")
    rows = [(column.name, column.type, column.comment) for column in spec.columns]
    facts = f"`{spec.name}`.{_laid_out(layouts.of(zone, table))}"
    return _section(f"{zone}.{table}", spec.comment, facts, ("column", "type", "holds"), rows)


def _anchor(item: ItemType) -> str:
    """Items and views may share a name; their zone tells them apart."""
    return f"conformed-{item.sql_name}"


def _own_table(resource: str) -> str:
    """The view with one row per resource of a type: ``medication_request`` for ``MedicationRequest``."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in resource).lstrip("_")


def _notes(suite: Suite) -> dict[str, str]:
    """What the suite says of how often a column has a value."""
    return dict(_presence(each) for each in suite.expectations if each.type == _NOT_NULL)


def _presence(expectation: Expectation) -> tuple[str, str]:
    mostly = float(expectation.arguments.get("mostly", 1))
    certain = mostly == 1 and expectation.severity == "halt"
    return str(expectation.arguments["column"]), "always" if certain else f"{mostly:.0%}".replace("%", " %")


def _note(phi: bool, presence: str | None) -> str:
    return ", ".join(each for each in ("PHI" if phi else "", presence or "") if each)


def _section(
    name: str, description: str, facts: str, heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    lines = [f"\n### {name}\n", f"{description.rstrip('.')}. {facts}\n", *_table(heads, rows)]
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for name, *cells in rows:
        name_ = f"**{name}**" if name == KEY_COLUMN else name
        yield f"| {' | '.join((name_, *map(_cell, cells)))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(load_declarations(), list(load_item_types().values())), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
