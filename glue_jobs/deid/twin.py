"""Keeping the twin: each of its tables follows the curated table as it is published, by what changed in it.

The twin is made from what analysts see, never from what an audit refused. A table whose declaration, secret or
year changed starts anew: it is dropped with its files and its history, which show what may be shown no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from glue_jobs.curation.declarations import CURATED, Declarations
from glue_jobs.curation.inputs import Input, changes_since
from glue_jobs.curation.publish import Change, Outcome, advance, forget_refused, publish
from glue_jobs.curation.resources import RESOURCES, Resources
from glue_jobs.curation.state import Consumed, TableState, read_state
from glue_jobs.deid.expressions import (
    OFFSET,
    Rules,
    key_of,
    keyed_hash,
    offset,
    secret_check,
    selection,
    twin_type,
)
from glue_jobs.deid.secret import pad_row, read_secret, with_pads
from glue_jobs.deid.suite import twin_suite
from glue_jobs.lake.errors import LakeError, Terminal
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.layout import apply_layout
from glue_jobs.lake.log import log
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import (
    Column,
    TableSpec,
    current_snapshot,
    ensure_table,
    iceberg_table,
    quoted,
    read_at,
    table_exists,
    tables_in,
)
from schemas import SchemaError
from schemas.deid_table import DeidTable, undeclared
from schemas.layout import Layouts
from schemas.model import Dependency, Model
from schemas.view import View

TWIN = "watershed_curated_deid"
_ONE_TO_ONE = ("key", "keep")


class Undeclared(LakeError, Terminal):
    """Raised after every table was published, when the twin lacks columns because nobody judged them.

    ``columns`` are the errors that name file and column.
    """

    def __init__(self, columns: list[SchemaError]) -> None:
        self.columns = columns
        named = "; ".join(map(str, columns))
        super().__init__(
            f"Not in the de-identified twin: {named}", "Give each a treatment; all else is published"
        )


@dataclass(frozen=True)
class Twin:
    """What all tables of the twin share in a run: the rules, and the secret, also as a row beside other rows."""

    run: Run
    rules: Rules
    pad: DataFrame
    secret: bytes = field(repr=False)

    def deidentified(self, table: DeidTable, rows: DataFrame, types: Mapping[str, str]) -> DataFrame:
        """Rows of a curated table as the twin shows them."""
        beside = with_pads(rows, self.pad)
        if table.subject is not None:
            beside = beside.withColumn(OFFSET, F.expr(offset(table.subject)))
        return beside.selectExpr(*selection(table, types, self.rules))


def open_twin(run: Run) -> Twin | None:
    """The twin as the run's arguments ask for it; None where they do not.

    Raises
    ------
    SecretUnusable : its secret cannot be read
    """
    arguments = run.arguments
    if arguments.deid is None:
        return None
    secret = read_secret(str(arguments.deid_secret))
    rules = Rules(arguments.deid, run.started_at.year)
    return Twin(run, rules, pad_row(run.spark, secret), secret)


def report_undeclared(run: Run, declarations: Declarations) -> list[SchemaError]:
    """The columns that nobody judged; each is logged as an error that names file and column."""
    found = undeclared(declarations.deid, _tables(declarations))
    for error in found:
        log("not in the de-identified twin", run_id=run.run_id, error=str(error))
    if found:
        run.note(undeclared=[str(each) for each in found])
    return found


def remove_undeclared(run: Run, declarations: Declarations) -> None:
    """Drop the twin's tables that no declaration has any more, files and history included."""
    for table in tables_in(run.spark, run.catalog, TWIN):
        if table.rpartition(".")[2] not in declarations.deid:
            run.spark.sql(f"drop table {table} purge")


def declared_tables(declarations: Declarations) -> Iterator[tuple[DeidTable, View | Model]]:
    """What the twin may show, and of which table."""
    for each in _tables(declarations):
        if each.name in declarations.deid:
            yield declarations.deid[each.name], each


def _tables(declarations: Declarations) -> Iterable[View | Model]:
    return (*declarations.views.values(), *declarations.models.values())


def refresh(
    twin: Twin, table: DeidTable, of: View | Model, resources: Resources, declarations: Declarations
) -> Outcome | None:
    """Bring one table of the twin to what its curated table shows; None where it shows that already."""
    source = _source(twin.run, of)
    if source is None:
        return None
    types = {each.name: each.dataType.simpleString() for each in source.rows.schema.fields}
    own = _fingerprint(twin, table, types)
    state = TableState(f"{own}:{source.state.definition}", {source.name: source.mark, **_watermark(source)})
    full_name = _ensure(twin.run, table, of, types, own, declarations.layouts)
    held = TableState() if twin.run.arguments.full else read_state(iceberg_table(twin.run.spark, full_name))
    never_filled = source.mark.snapshot_id is None and not held.definition
    if held == state or never_filled:
        forget_refused(twin.run.spark, full_name)
        return None
    suite = twin_suite(table, types, twin.rules)
    if held.definition != state.definition:
        return publish(
            twin.run, full_name, Change(twin.deidentified(table, source.rows, types)), state, suite
        )
    with _changed_keys(twin.run.spark, source, held, of, resources, declarations) as changed:
        if changed is not None and changed.is_empty():
            return advance(twin.run, full_name, suite.table, state)
        with _change(twin, table, of, source.rows, changed, types) as change:
            return publish(twin.run, full_name, change, state, suite)


@contextmanager
def _change(
    twin: Twin,
    table: DeidTable,
    of: View | Model,
    rows: DataFrame,
    changed: KeySet | None,
    types: Mapping[str, str],
) -> Iterator[Change]:
    """What the twin gains and loses where these keys changed (None: any may have), valid inside."""
    if changed is None or not _follows_keys(table, of):
        yield Change(twin.deidentified(table, rows, types))
        return
    replaced = _twin_keys(twin, table, changed)
    try:
        yield Change(twin.deidentified(table, changed.choose(rows), types), replaced)
    finally:
        replaced.close()


def _source(run: Run, of: View | Model) -> Input | None:
    """The curated table as it is shown now; None where it does not exist."""
    full_name = f"{run.catalog}.{CURATED}.{of.name}"
    if not table_exists(run.spark, full_name):
        return None
    table = iceberg_table(run.spark, full_name)
    snapshot_id = current_snapshot(table)
    rows = read_at(run.spark, full_name, snapshot_id)
    dependency = Dependency(of.name, "curated", of.name, "")
    return Input(dependency, full_name, Consumed(snapshot_id), rows, read_state(table))


def _watermark(source: Input) -> dict[str, Consumed]:
    """Of a view, how far it has read the resources: the twin then asks the same source what changed."""
    return {name: each for name, each in source.state.inputs.items() if name == RESOURCES}


def _fingerprint(twin: Twin, table: DeidTable, types: Mapping[str, str]) -> str:
    """Hash of what decides how the twin shows a row: the SQL of its columns, and the secret."""
    shift = offset(table.subject) if table.subject else ""
    made = [*selection(table, types, twin.rules), shift, secret_check(twin.secret)]
    return hashlib.sha256("\n".join(made).encode()).hexdigest()


def _ensure(
    run: Run, table: DeidTable, of: View | Model, types: Mapping[str, str], own: str, layouts: Layouts
) -> str:
    """Make the table, laid out as the one it follows; one that was made by other rules goes first, with its files and its history."""
    full_name = f"{run.catalog}.{TWIN}.{table.table}"
    if table_exists(run.spark, full_name):
        made_by = read_state(iceberg_table(run.spark, full_name)).definition
        if made_by and made_by.partition(":")[0] != own:
            run.spark.sql(f"drop table {full_name} purge")
            log("twin starts anew", run_id=run.run_id, table=table.table)
    comments = {column.name: column.description for column in of.columns}
    columns = tuple(
        Column(column, twin_type(table.treatments[column], type_), comments.get(column, ""))
        for column, type_ in types.items()
        if column in table.treatments
    )
    description = f"De-identified: {of.description}"
    made = ensure_table(run.spark, run.catalog, TableSpec(f"{TWIN}.{table.table}", columns, description))
    layout = layouts.of_twin(table.table, [column.name for column in columns])
    apply_layout(run.spark, iceberg_table(run.spark, made), layout)
    return made


def _follows_keys(table: DeidTable, of: View | Model) -> bool:
    """Whether rows of the twin can be replaced by key: its keys tell apart what the table's keys do."""
    return all(table.treatments.get(name) in _ONE_TO_ONE for name in of.key)


@contextmanager
def _changed_keys(
    spark: SparkSession,
    source: Input,
    held: TableState,
    of: View | Model,
    resources: Resources,
    declarations: Declarations,
) -> Iterator[KeySet | None]:
    """The keys, as the curated table has them, of what changed since the twin read it; None: all may have."""
    if isinstance(of, View):
        seen, now = (each.inputs.get(RESOURCES, Consumed()) for each in (held, source.state))
        rolled_back = now.run_id < seen.run_id
        yield None if rolled_back else resources.keys(of.resource, seen.run_id)
        return
    changes = changes_since(spark, source, held.inputs.get(source.name), resources, declarations)
    if changes.everything:
        yield None
        return
    if changes.rows is None:
        yield KeySet(of.key, few=())
        return
    keys = KeySet.of(changes.rows.select(*map(quoted, of.key)))
    try:
        yield keys
    finally:
        keys.close()


def _twin_keys(twin: Twin, table: DeidTable, keys: KeySet) -> KeySet:
    """Keys of the curated table as the twin has them; a few without asking Spark."""
    (first, *others) = keys.columns
    if keys.few is not None and not others and table.treatments[first] == "key":
        return KeySet.listed(first, (key_of(twin.secret, each) for each in keys.few))
    beside = with_pads(keys.rows(twin.run.spark), twin.pad)
    hashed = beside.selectExpr(
        *(
            f"{keyed_hash(name) if table.treatments[name] == 'key' else quoted(name)} as {quoted(name)}"
            for name in keys.columns
        )
    )
    return KeySet.of(hashed)
