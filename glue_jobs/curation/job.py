"""The curate job: views, models, and their de-identified twin, each table published or not on its own; then the
results, in one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial

from glue_jobs.curation.data_docs import write_docs
from glue_jobs.curation.declarations import CURATED, Declarations
from glue_jobs.curation.inputs import MissingInput
from glue_jobs.curation.models import ModelTable, ModelUpdate, model_update, prepare_model
from glue_jobs.curation.publish import Outcome, advance, forget_refused, publish
from glue_jobs.curation.resources import Resources
from glue_jobs.curation.results import record_results
from glue_jobs.curation.rows import release_unruled
from glue_jobs.curation.views import TypeUpdate, ViewTable, ViewUpdate, prepare_views, type_updates
from glue_jobs.deid.suite import ZONE as TWIN_ZONE
from glue_jobs.deid.twin import (
    Undeclared,
    declared_tables,
    open_twin,
    refresh,
    remove_undeclared,
    report_undeclared,
)
from glue_jobs.lake.errors import AuditFailed, LakeError
from glue_jobs.lake.log import log
from glue_jobs.lake.metrics import Metric, table_metrics
from glue_jobs.lake.run import Run
from glue_jobs.lake.session import interpreted
from schemas.expectation import Suite

AT_ONCE = 3
"""Tables published at a time: while one is planned on the driver, another is written by the executors, and a third
waits for a commit."""


class TableFailed(LakeError):
    """Raised after every other table was published, when some could not be made at all.

    ``failures`` maps each such table to its error.
    """

    def __init__(self, failures: dict[str, Exception]) -> None:
        self.failures = failures
        named = "; ".join(f"{table}: {_safe(error)}" for table, error in failures.items())
        super().__init__(f"Not made: {named}", "The other tables are published; correct this and run again")


def _safe(error: Exception) -> str:
    """An error's text if it is one of ours; of others only the type, for they may quote data."""
    return str(error) if isinstance(error, LakeError) else type(error).__name__


@dataclass
class _Tally:
    """What became of the tables so far; several threads add to it."""

    run: Run
    outcomes: list[Outcome] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)

    def attempt(self, table: str, act: Callable[[], Outcome | None]) -> None:
        """Do one table's work; its failure is kept and holds up no other table."""
        try:
            outcome = act()
        except Exception as error:
            self.fail(table, error)
            return
        if outcome is None:
            return
        self.outcomes.append(outcome)
        name = f"watershed_{table}" if table.startswith(TWIN_ZONE) else f"{CURATED}.{table}"
        self.run.wrote(name, outcome.added + outcome.removed)
        log(
            "published" if outcome.published else "audit failed",
            run_id=self.run.run_id,
            table=table,
            snapshot_id=outcome.snapshot_id,
            rows_added=outcome.added,
            rows_removed=outcome.removed,
            rows_quarantined=outcome.quarantined,
            not_held=[check.label for check in outcome.checks if not check.success],
        )

    def fail(self, table: str, error: Exception) -> None:
        self.failures[table] = error
        log("table failed", run_id=self.run.run_id, table=table, error=type(error).__name__)


def curate(run: Run, declarations: Declarations) -> list[Outcome]:
    """Bring every curated table up to date with the conformed ones; returns what became of those touched.

    All declarations are checked, and tables made, before any row is written.

    Raises
    ------
    SchemaError, ViewDefinitionError, TableError : a declaration is wrong; nothing was written
    AuditFailed : expectations that halt did not hold; every other table is published
    TableFailed : tables could not be made; every other table is published
    Undeclared : the twin lacks columns that nobody judged; all else is published
    """
    tally = _Tally(run)
    # No column of the lake is a structure, and looking for parts of one to leave out is much of the planning.
    run.spark.conf.set("spark.sql.optimizer.nestedSchemaPruning.enabled", "false")
    views = prepare_views(run, declarations.views, declarations.suites, declarations.layouts)
    models = _prepare_models(tally, declarations)
    release_unruled(run, declarations.suites.values())
    unjudged = report_undeclared(run, declarations) if run.arguments.deid else []
    resources = Resources.pinned(run.spark, run.catalog)
    try:
        updates = type_updates(run, views, resources)
        held = sum(view.rows for view in views) + sum(model.rows for model in models)
        with interpreted(run.spark, held, made=sum(each.size for each in updates)):
            _publish_views(tally, declarations, updates)
            _publish_models(tally, declarations, resources, models)
            _settle(tally, views, models)
            _publish_twin(tally, declarations, resources)
    finally:
        resources.close()
    run.measured(_figures(tally, (*declarations.views, *declarations.models)))
    _close(tally, declarations)
    if unjudged:
        raise Undeclared(unjudged)
    return tally.outcomes


def _prepare_models(tally: _Tally, declarations: Declarations) -> list[ModelTable]:
    prepared = []
    for model in declarations.models.values():
        try:
            suite, layout = declarations.suites[model.name], declarations.layouts.of("curated", model.name)
            prepared.append(prepare_model(tally.run, model, suite, layout))
        except MissingInput as error:
            tally.failures[model.name] = error
    return prepared


def _publish_views(tally: _Tally, declarations: Declarations, updates: Sequence[TypeUpdate]) -> None:
    """The views of some resource types at a time, those of one type one after another."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for done in [pool.submit(_publish_type, tally, declarations, update) for update in updates]:
            done.result()


def _publish_type(tally: _Tally, declarations: Declarations, update: TypeUpdate) -> None:
    left = [table.view.name for table in update.tables]
    try:
        with update.views() as views:
            for each in views:
                name = each.table.view.name
                tally.attempt(name, partial(_publish_view, tally.run, declarations.suites[name], each))
                left.remove(name)
    except Exception as error:  # of what the views share: those that were attempted before it stand
        for name in left:
            tally.fail(name, error)


def _publish_view(run: Run, suite: Suite, update: ViewUpdate) -> Outcome:
    return publish(run, update.table.full_name, update.change, update.state, suite)


def _publish_models(
    tally: _Tally, declarations: Declarations, resources: Resources, tables: Sequence[ModelTable]
) -> None:
    """Models in their order. The next is worked out while one is published, unless it reads that one.

    Worked out one at a time: their inputs go by the names that the models' SQL has for them, which are the
    session's.
    """
    run = tally.run
    under_way: dict[str, Future[Outcome | None]] = {}
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for table in tables:
            model = table.model
            wait([under_way[each.table] for each in model.depends_on if each.table in under_way])
            try:
                update = model_update(run, table, resources, declarations)
            except Exception as error:
                under_way[model.name] = _failed(error)
            else:
                under_way[model.name] = pool.submit(_publish_model, run, declarations, table, update)
        for name, done in under_way.items():
            tally.attempt(name, done.result)


def _settle(tally: _Tally, views: Sequence[ViewTable], models: Sequence[ModelTable]) -> None:
    """What an earlier audit refused goes where the table is current without it."""
    touched = {each.table for each in tally.outcomes} | tally.failures.keys()
    waiting = {each.view.name: each.full_name for each in views if each.has_refused}
    waiting |= {each.model.name: each.full_name for each in models if each.has_refused}
    for name, full_name in waiting.items():
        if name not in touched:
            forget_refused(tally.run.spark, full_name)


def _publish_twin(tally: _Tally, declarations: Declarations, resources: Resources) -> None:
    """After the curated tables, which analysts wait for; nothing where the deployment keeps no twin."""
    run = tally.run
    try:
        twin = open_twin(run)
        if twin is None:
            return
        remove_undeclared(run, declarations)
    except Exception as error:
        tally.fail(TWIN_ZONE, error)
        return
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for done in [
            pool.submit(
                tally.attempt,
                f"{TWIN_ZONE}.{table.table}",
                partial(refresh, twin, table, of, resources, declarations),
            )
            for table, of in declared_tables(declarations)
        ]:
            done.result()


def _failed(error: Exception) -> Future[Outcome | None]:
    done: Future[Outcome | None] = Future()
    done.set_exception(error)
    return done


def _publish_model(
    run: Run, declarations: Declarations, table: ModelTable, update: ModelUpdate | None
) -> Outcome | None:
    if update is None:
        return None
    with update.change() as change:
        if change is None:
            return advance(run, table.full_name, table.model.name, update.state)
        return publish(run, table.full_name, change, update.state, declarations.suites[table.model.name])


def _figures(tally: _Tally, tables: Iterable[str]) -> Iterator[Metric]:
    """For each declared table, and for the twin as one, whether it is current; of tables how many rows went."""
    outcomes = {each.table: each for each in tally.outcomes}
    for table in tables:
        outcome = outcomes.get(table)
        if table in tally.failures or (outcome and not outcome.published):
            yield from table_metrics(table, behind=True)
        elif outcome:
            lost = outcome.removed - outcome.added
            yield from table_metrics(table, False, outcome.rows_before, lost)
        else:
            yield from table_metrics(table, behind=False)
    if tally.run.arguments.deid:
        # The twin as one: its tables lose no rows but those that the curated ones lose.
        late = [each.table for each in tally.outcomes if not each.published]
        behind = any(name.startswith(TWIN_ZONE) for name in (*late, *tally.failures))
        yield from table_metrics(TWIN_ZONE, behind)


def _close(tally: _Tally, declarations: Declarations) -> None:
    run, outcomes = tally.run, tally.outcomes
    record_results(run, outcomes)
    failures = {table: _safe(error) for table, error in tally.failures.items()}
    if outcomes or failures:
        write_docs(run, declarations, failures)
    run.note(
        published={each.table: each.snapshot_id for each in outcomes if each.published},
        unpublished={each.table: each.branch for each in outcomes if not each.published},
        failed={table: type(error).__name__ for table, error in tally.failures.items()},
    )
    if tally.failures:
        raise TableFailed(tally.failures) from next(iter(tally.failures.values()))
    refused = [each for each in outcomes if not each.published]
    if refused:
        raise audit_failure(refused)


def audit_failure(refused: list[Outcome]) -> AuditFailed:
    """The error for tables whose audit failed: names, counts, and where to look."""
    failures = {each.table: tuple(check.label for check in each.checks if check.halts) for each in refused}
    named = "; ".join(
        f"{each.table} (branch {each.branch}): {', '.join(failures[each.table])}" for each in refused
    )
    return AuditFailed(
        f"Expectations did not hold: {named}",
        "Analysts keep the last good version of these tables; look at the branch with"
        " select * from <table> version as of '<branch>', correct the source or the suite, and run again",
        failures,
    )
