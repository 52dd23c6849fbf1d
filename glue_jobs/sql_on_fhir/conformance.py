"""Run test files of the official SQL on FHIR v2 suite and report in its format.

A file is `{title, resources[], tests[]}`; a test has a `view` and one of `expect` (rows in any order),
`expectCount` or `expectError`, and `expectColumns` where order matters. Values compare strictly: by type, numbers
by value, null like an absent key. An expected error must be one that this package raises on purpose.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glue_jobs.sql_on_fhir.errors import ReadError, SqlOnFhirError
from glue_jobs.sql_on_fhir.json_rows import json_line
from glue_jobs.sql_on_fhir.plan import compile_views
from glue_jobs.sql_on_fhir.sql import FAILURE, quote_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class CaseResult:
    """The outcome of one test case; `error` says why it failed."""

    file: str
    name: str
    error: str | None

    @property
    def passed(self) -> bool:
        return self.error is None


class _Written(str):
    """A JSON number with a fraction, as it stands in the file: 1.0 must reach the runner as 1.0."""


def run_suite(spark: SparkSession, folder: Path) -> Iterator[CaseResult]:
    """The result of every case of every test file in a folder. JSON without resources and tests is passed over."""
    found = [(file, _test_file(file)) for file in sorted(folder.glob("*.json"))]
    files = [(file, document) for file, document in found if document]
    if not files:
        raise ReadError(f"no test files (*.json with resources and tests) in {folder}")
    for file, document in files:
        resources = _resources(spark, document["resources"])
        for test in document["tests"]:
            yield CaseResult(file.name, test["title"], _failure(resources, test))


def _test_file(file: Path) -> Mapping[str, Any]:
    """The content of a test file, nothing of any other JSON (a folder may hold a schema or a report too)."""
    document = json.loads(file.read_text(encoding="utf-8"), parse_float=_Written)
    is_tests = isinstance(document, dict) and {"resources", "tests"} <= document.keys()
    return document if is_tests else {}


def _resources(spark: SparkSession, resources: Sequence[Any]) -> DataFrame:
    """The resources as SQL literals: a frame made from Python objects would start Python workers in every case."""
    if not resources:
        return spark.createDataFrame([], "resource STRING")
    rows = ", ".join(f"({quote_text(write_json(resource))})" for resource in resources)
    return spark.sql(f"SELECT resource FROM VALUES {rows} AS lines(resource)").coalesce(1)


def report(results: Sequence[CaseResult]) -> dict[str, Any]:
    """The results as the suite's report: `{file: {tests: [{name, result: {passed, error?}}]}}`."""
    document: dict[str, Any] = {}
    for result in results:
        outcome: dict[str, Any] = {"passed": result.passed}
        if result.error:
            outcome["error"] = result.error
        document.setdefault(result.file, {"tests": []})["tests"].append(
            {"name": result.name, "result": outcome}
        )
    return document


def _failure(resources: DataFrame, test: Mapping[str, Any]) -> str | None:
    """Why a case fails, or None."""
    expects_error = bool(test.get("expectError"))
    try:
        columns, rows = _rows(resources, _plain(test["view"]))
    except SqlOnFhirError as error:
        return None if expects_error else str(error)
    except Exception as error:
        if expects_error and FAILURE in str(error):
            return None
        return f"{type(error).__name__}: {str(error)[:2000]}"
    if expects_error:
        return f"expected an error, got {len(rows)} rows"
    return _difference(columns, rows, test)


def _rows(resources: DataFrame, view: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    plan = compile_views([view], lexical=True)
    ((name, compiled),) = plan.views.items()
    with plan.run(resources) as frames:
        frame = frames[name]
        lines = frame.selectExpr(f"{json_line(compiled.outputs)} AS line").collect()
        return frame.columns, [json.loads(row["line"], parse_float=Decimal) for row in lines]


def _difference(columns: list[str], rows: list[Any], test: Mapping[str, Any]) -> str | None:
    if "expectColumns" in test and columns != test["expectColumns"]:
        return f"columns {columns}, expected {test['expectColumns']}"
    if "expectCount" in test and len(rows) != test["expectCount"]:
        return f"{len(rows)} rows, expected {test['expectCount']}"
    if "expect" not in test:
        return None
    found, expected = Counter(map(_canonical, rows)), Counter(map(_canonical, test["expect"]))
    if found == expected:
        return None
    return f"rows missing: {list((expected - found).elements())}; rows too many: {list((found - expected).elements())}"


def _canonical(value: Any) -> str:
    """A text that is equal for values that count as equal."""
    if isinstance(value, dict):
        members = (f"{key}={_canonical(item)}" for key, item in sorted(value.items()) if item is not None)
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_canonical, value)) + "]"
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int | float | Decimal | _Written):
        return f"{Decimal(str(value)).normalize():f}"
    return json.dumps(value)


def _plain(value: Any) -> Any:
    """A view with ordinary numbers."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, _Written) else value


def write_json(value: Any) -> str:
    """JSON with numbers as they were read."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{write_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write_json, value)) + "]"
    return str(value) if isinstance(value, _Written) else json.dumps(value)
