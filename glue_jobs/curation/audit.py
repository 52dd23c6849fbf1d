"""A table's expectation suite, run by Great Expectations on Spark: counts come back, values never do."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame

from glue_jobs.curation.counts import RENEWED, Counts, Renewed, count, counts_all
from glue_jobs.curation.rules import columns_in, columns_of
from schemas import SchemaError
from schemas.expectation import Expectation, Suite

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when the library is imported

_PLACE = "place"
_NUMBERS = itertools.count(1)
_VALUES = ".unexpected_values"
_counted: ContextVar[Counts] = ContextVar("_counted")  # of the audit that this thread is at
_idle: SimpleQueue[Any] = (
    SimpleQueue()
)  # data sources that no audit uses: each keeps its batches in one place
_making = Lock()


@dataclass(frozen=True)
class Check:
    """What one expectation found.

    ``checked`` rows were looked at, ``unexpected`` of them did not hold; both None where the expectation is
    about the table as a whole. ``evaluated`` is false where it could not be computed at all.
    """

    expectation: Expectation
    success: bool
    checked: int | None = None
    unexpected: int | None = None
    evaluated: bool = True

    @property
    def halts(self) -> bool:
        """Rows that break what may put them in quarantine are not here any more: if one is, that must not pass."""
        return not self.success and self.expectation.severity != "warn"

    @property
    def label(self) -> str:
        """Type, columns and count, for a person: no value of any row."""
        about = ", ".join(columns_of(self.expectation))
        if not self.evaluated:
            return f"{self.expectation.type}({about}): could not be evaluated"
        count = "" if self.unexpected is None else f": {self.unexpected} of {self.checked} rows"
        return f"{self.expectation.type}({about}){count}"


@dataclass(frozen=True)
class Audit:
    """What a suite found, one check for each expectation, and how many rows were made anew, if that was counted."""

    checks: tuple[Check, ...]
    renewed: int | None = None


def check_suite(suite: Suite, columns: Sequence[str]) -> None:
    """Refuse, before any data is read, a suite that names no such expectation or column.

    Raises
    ------
    SchemaError : naming the file and the expectation
    """
    for index, expectation in enumerate(suite.expectations):
        where = f"expectations[{index}]"
        for column in columns_of(expectation):
            if column not in columns:
                raise SchemaError(suite.file, f"{where}.with", f"{suite.table} has no column {column!r}")
        try:
            _configuration(expectation).to_domain_obj()
        except Exception as error:
            problem = f"{expectation.type} with these arguments is not one of Great Expectations: {error}"
            raise SchemaError(suite.file, where, problem) from None


def audit(rows: DataFrame, suite: Suite, renewed: Renewed | None = None) -> Audit:
    """Run the suite on the rows: cached, in as few columns as it needs, where one query does not do.

    ``renewed`` are those made anew since the suite was passed; None: any may be.
    """
    narrow, one_query = rows, counts_all(suite)
    if not one_query:
        needed = {column for each in suite.expectations for column in columns_of(each)}
        needed |= set(renewed.keys.columns) if renewed else set()
        narrow = (rows.select(*sorted(needed)) if needed and not _needs_all(suite) else rows).persist()
    counts = _counts(narrow, suite, renewed)
    token = _counted.set(counts)
    try:
        return Audit(tuple(_checks(suite, _validated(narrow, suite).results)), counts.get(RENEWED))
    finally:
        _counted.reset(token)
        if not one_query:
            narrow.unpersist()


def _counts(narrow: DataFrame, suite: Suite, renewed: Renewed | None) -> Counts:
    """None where an expectation does not fit its column's type: Great Expectations says which."""
    try:
        return count(narrow, suite, renewed)
    except AnalysisException:
        return {}


def _validated(narrow: DataFrame, suite: Suite) -> Any:
    import great_expectations as gx

    # Given at once: added one by one, those of a type would replace each other on the same column.
    placed = [_configuration(expectation, place) for place, expectation in enumerate(suite.expectations)]
    expectations = gx.ExpectationSuite(name=suite.table, expectations=placed)
    try:
        source = _idle.get_nowait()
    except Empty:
        source = _new_source()
    try:
        asset = source.add_dataframe_asset(f"{suite.table}_{next(_NUMBERS)}")
        batch = asset.add_batch_definition_whole_dataframe("rows")
        return batch.get_batch({"dataframe": narrow}).validate(
            # Counts without samples: what is unexpected is somebody's data.
            expectations,
            result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
        )
    finally:
        _idle.put(source)


def _needs_all(suite: Suite) -> bool:
    """Whether an expectation is about the set of columns, and so must see them all."""
    return any(
        each.type.startswith("expect_table_column") or each.type == "expect_column_to_exist"
        for each in suite.expectations
    )


def _new_source() -> Any:
    """Great Expectations' handle on this process's Spark, for one audit at a time."""
    with _making:
        sources = _context().data_sources
        return sources.add_spark(f"lake_{next(_NUMBERS)}", persist=False, force_reuse_spark_context=True)


@cache
def _context() -> Any:
    """No files, no docs folder, no progress bars; and no values of rows."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )
    from great_expectations.datasource.fluent import SparkDatasource

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
    )
    SparkDatasource.execution_engine_override = _counting_engine()
    return gx.get_context(mode="ephemeral", project_config=config)


def _counting_engine() -> Any:
    """Great Expectations on Spark, but for what one query has counted already, and for the values of
    unexpected rows: each would cost a query of its own."""
    from great_expectations.execution_engine import SparkDFExecutionEngine

    class CountingEngine(SparkDFExecutionEngine):  # type: ignore[misc]
        def resolve_metrics(
            self, metrics_to_resolve: Any, metrics: Any = None, runtime_configuration: Any = None
        ) -> Any:
            counted = _counted.get({})
            known: dict[Any, Any] = {}
            others = []
            for each in metrics_to_resolve:
                columns = columns_in(each.metric_domain_kwargs)
                if each.metric_name.endswith(_VALUES):
                    known[each.id] = []
                elif (each.metric_name, columns) in counted and not _is_of_some(each.metric_domain_kwargs):
                    known[each.id] = counted[each.metric_name, columns]
                else:
                    others.append(each)
            if not others:
                return known
            return {**super().resolve_metrics(others, metrics, runtime_configuration), **known}

    return CountingEngine


def _is_of_some(domain: Mapping[str, Any]) -> bool:
    """Whether a metric is of those rows alone that meet a condition."""
    return domain.get("row_condition") is not None


def _configuration(expectation: Expectation, place: int = 0) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return ExpectationConfiguration(
        type=expectation.type, kwargs=dict(expectation.arguments), meta={_PLACE: place}
    )


def _checks(suite: Suite, results: Sequence[Any]) -> Iterator[Check]:
    """Pair results with expectations: Great Expectations groups results by column, in an order of its own."""
    found = {result.expectation_config.meta[_PLACE]: result for result in results}
    for place, expectation in enumerate(suite.expectations):
        result = found.get(place)
        if result is None or _raised(result.exception_info):
            yield Check(expectation, success=False, evaluated=False)
            continue
        counts: Mapping[str, Any] = result.result or {}
        checked, unexpected = counts.get("element_count"), counts.get("unexpected_count")
        yield Check(expectation, bool(result.success), checked, unexpected)


def _raised(info: Mapping[str, Any] | None) -> bool:
    """Exceptions are told for the whole expectation, or per metric of it."""
    if not info:
        return False
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(isinstance(each, Mapping) and each.get("raised_exception") for each in info.values())
