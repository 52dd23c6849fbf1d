"""Refreshing models: which of their keys a change reaches, and the rows of those keys made anew."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession

from glue_jobs.curation.audit import check_suite
from glue_jobs.curation.declarations import CURATED, Declarations, model_fingerprint
from glue_jobs.curation.inputs import Changes, Input, changes_since, read_input
from glue_jobs.curation.publish import Change, has_refused
from glue_jobs.curation.resources import Resources
from glue_jobs.curation.rows import Identity
from glue_jobs.curation.state import TableState, read_state
from glue_jobs.lake.keys import KeySet
from glue_jobs.lake.layout import apply_layout
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import Column, TableSpec, ensure_table, iceberg_table, row_count
from schemas import SchemaError
from schemas.expectation import Suite
from schemas.layout import DEFAULT_LAYOUT, Layout
from schemas.model import Dependency, Model

_LINE = re.compile(r"\(?line (\d+)")


@dataclass(frozen=True)
class ModelTable:
    """A model whose declaration was checked against the tables it reads, and its table, made or widened.

    ``has_refused`` says that rows of an earlier run wait on a branch.
    """

    model: Model
    full_name: str
    rows: int = 0
    """How many the table shows."""
    has_refused: bool = False


@dataclass(frozen=True)
class ModelUpdate:
    """What a model's table is to become: ``rows``, of which those are new whose key is in ``reached``.

    ``reached`` is None where the whole table is made anew. No job has run for it yet.
    """

    table: ModelTable
    rows: DataFrame
    state: TableState
    reached: DataFrame | None = None

    @contextmanager
    def change(self) -> Iterator[Change | None]:
        """The change, valid inside; None where inputs changed but no row of the table."""
        identity = Identity(self.table.model.key)
        if self.reached is None:
            yield Change(self.rows, identity=identity)
            return
        keys = KeySet.of(self.reached)
        try:
            yield None if keys.is_empty() else Change(keys.choose(self.rows), keys, identity)
        finally:
            keys.close()


def prepare_model(run: Run, model: Model, suite: Suite, layout: Layout = DEFAULT_LAYOUT) -> ModelTable:
    """Check a model before any data is touched, and make or widen its table.

    Raises
    ------
    SchemaError : the SQL or a ``changed_keys`` does not run or does not give what the YAML says, or the
        suite names a column that is not there
    MissingInput : a table it reads does not exist
    """
    inputs = _inputs(run, model)
    with _as_views(run.spark, {each.dependency.alias: each.rows for each in inputs}):
        _check_names(model, run.catalog)
        rows = _select(run.spark, model, model.sql)
        _check_columns(model, rows)
        for each in inputs:
            _check_keys(run.spark, model, each)
    check_suite(suite, rows.columns)
    full_name = ensure_table(run.spark, run.catalog, _spec(model, rows, layout))
    table = iceberg_table(run.spark, full_name)
    apply_layout(run.spark, table, layout)
    return ModelTable(model, full_name, row_count(table.currentSnapshot()), has_refused(table))


def model_update(
    run: Run, table: ModelTable, resources: Resources, declarations: Declarations
) -> ModelUpdate | None:
    """The update of a model's table; None where nothing it reads changed."""
    spark, model = run.spark, table.model
    inputs = _inputs(run, model)
    fingerprint = model_fingerprint(model, declarations.suites[model.name])
    state = TableState(fingerprint, {each.name: each.mark for each in inputs})
    held = TableState() if run.arguments.full else read_state(iceberg_table(spark, table.full_name))
    if held.definition == state.definition and _saw_all(held, inputs):
        return None
    with _as_views(spark, {each.dependency.alias: each.rows for each in inputs}):
        rows = _select(spark, model, model.sql)
        if held.definition != state.definition:
            return ModelUpdate(table, rows, state)
        found = {
            each.dependency.alias: changes_since(
                spark, each, held.inputs.get(each.name), resources, declarations
            )
            for each in inputs
        }
        if any(each.everything for each in found.values()):
            return ModelUpdate(table, rows, state)
        return ModelUpdate(table, rows, state, _reached(spark, model, found))


def _saw_all(held: TableState, inputs: Sequence[Input]) -> bool:
    seen = (held.inputs.get(each.name) for each in inputs)
    return all(
        at is not None and at.snapshot_id == each.mark.snapshot_id
        for at, each in zip(seen, inputs, strict=True)
    )


def _inputs(run: Run, model: Model) -> list[Input]:
    return [read_input(run.spark, run.catalog, model, each) for each in model.depends_on]


def _reached(spark: SparkSession, model: Model, found: Mapping[str, Changes]) -> DataFrame:
    """The model's keys that the changes of its inputs reach, of which one at least changed."""
    reached = []
    for dependency in model.depends_on:
        changed = found[dependency.alias].rows
        if changed is not None:
            with _as_views(spark, {"changed": changed}):
                reached.append(_select(spark, model, dependency.changed_keys, dependency))
    return reduce(DataFrame.union, reached)


def _check_names(model: Model, catalog: str) -> None:
    """Tables read past ``depends_on`` would change without the model knowing."""
    for number, line in enumerate(model.sql.splitlines(), 1):
        if re.search(rf"\b({re.escape(catalog)}|watershed_\w+)\s*\.", line.partition("--")[0]):
            problem = "reads a table by its full name; name it under depends_on and read it by its alias"
            raise SchemaError(model.sql_file, f"line {number}", problem)


def _check_columns(model: Model, rows: DataFrame) -> None:
    declared = [column.name for column in model.columns]
    if rows.columns == declared:
        return
    missing = [name for name in declared if name not in rows.columns]
    if missing:
        problem = f"{model.sql_file.name} does not give {', '.join(missing)}"
        raise SchemaError(model.file, f"columns.{missing[0]}", problem)
    extra = [name for name in rows.columns if name not in declared]
    if extra:
        problem = f"gives {', '.join(extra)}, which {model.file.name} does not describe"
        raise SchemaError(model.sql_file, _last_line(model.sql, extra[0]), problem)
    given = next(name for name, wanted in zip(rows.columns, declared, strict=True) if name != wanted)
    problem = f"{model.sql_file.name} gives the columns in another order"
    raise SchemaError(model.file, f"columns.{given}", problem)


def _last_line(sql: str, word: str) -> str:
    """Where a column is named last in the SQL: in the select that gives it."""
    lines = [
        number
        for number, line in enumerate(sql.splitlines(), 1)
        if re.search(rf"\b{re.escape(word)}\b", line.partition("--")[0], re.IGNORECASE)
    ]
    return f"line {lines[-1]}" if lines else "columns"


def _check_keys(spark: SparkSession, model: Model, read: Input) -> None:
    with _as_views(spark, {"changed": read.rows}):
        keys = _select(spark, model, read.dependency.changed_keys, read.dependency)
    if keys.columns != list(model.key):
        field = f"depends_on.{read.dependency.alias}.changed_keys"
        given = ", ".join(keys.columns)
        raise SchemaError(model.file, field, f"must give the key ({', '.join(model.key)}), and gives {given}")


def _select(spark: SparkSession, model: Model, sql: str, dependency: Dependency | None = None) -> DataFrame:
    """A select of the model, or an error that names file and line; Spark's messages speak of names only."""
    try:
        return spark.sql(sql)
    except (ParseException, AnalysisException) as error:
        text = str(error)
        line = _LINE.search(text)
        problem = text.strip().splitlines()[0]
        if dependency is None:
            where = f"line {line[1]}" if line else ""
            raise SchemaError(model.sql_file, where, problem) from None
        raise SchemaError(model.file, f"depends_on.{dependency.alias}.changed_keys", problem) from None


def _spec(model: Model, rows: DataFrame, layout: Layout) -> TableSpec:
    comments = {column.name: column.description for column in model.columns}
    columns = tuple(
        Column(each.name, each.dataType.simpleString(), comments[each.name]) for each in rows.schema.fields
    )
    return TableSpec(f"{CURATED}.{model.name}", columns, model.description, layout.partition_by)


@contextmanager
def _as_views(spark: SparkSession, frames: Mapping[str, DataFrame]) -> Iterator[None]:
    """Frames under names that SQL sees. Frames made inside stay usable after: Spark binds names at once."""
    for name, frame in frames.items():
        frame.createOrReplaceTempView(name)
    try:
        yield
    finally:
        for name in frames:
            spark.catalog.dropTempView(name)
