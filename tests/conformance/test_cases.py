"""The compiler against test files in the official suite's format: our own, and the official ones where present."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glue_jobs.sql_on_fhir.conformance import CaseResult, report, run_suite
from glue_jobs.sql_on_fhir.errors import ReadError
from tests.conftest import ANSI_MODES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]
OWN = Path(__file__).with_name("cases")
OFFICIAL = Path(os.environ.get("SQL_ON_FHIR_TESTS", ROOT.parent / "shared/sql-on-fhir-v2/tests"))
ABSENT = "set SQL_ON_FHIR_TESTS to the tests folder of a FHIR/sql-on-fhir-v2 checkout"

pytestmark = pytest.mark.spark


def cases(folder: Path) -> list[tuple[str, str]]:
    """(file, title) of every case of a folder."""
    files = sorted(folder.glob("*.json"))
    return [(file.name, test["title"]) for file in files for test in json.loads(file.read_text())["tests"]]


class Results:
    """The results of a folder, computed as far as they are asked for."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._pending = run_suite(spark, folder)
        self.done: dict[tuple[str, str], CaseResult] = {}

    def __getitem__(self, case: tuple[str, str]) -> CaseResult:
        while case not in self.done:
            result = next(self._pending)
            self.done[result.file, result.name] = result
        return self.done[case]


@pytest.fixture(scope="module", params=ANSI_MODES, ids=lambda mode: f"ansi={mode}")
def light_spark(spark: SparkSession, request: pytest.FixtureRequest) -> Iterator[SparkSession]:
    """Compiling each small query to Java costs more than running it; `tests/spark` covers the compiled form."""
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    spark.conf.set("spark.sql.ansi.enabled", request.param)
    yield spark
    spark.conf.set("spark.sql.ansi.enabled", ANSI_MODES[0])
    spark.conf.unset("spark.sql.codegen.wholeStage")


@pytest.fixture(scope="module")
def own(light_spark: SparkSession) -> Results:
    return Results(light_spark, OWN)


@pytest.fixture(scope="module")
def official(light_spark: SparkSession) -> Results:
    return Results(light_spark, OFFICIAL)


@pytest.mark.parametrize("case", cases(OWN), ids=" / ".join)
def test_own_case(own: Results, case: tuple[str, str]) -> None:
    assert own[case].error is None


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=ABSENT)
@pytest.mark.parametrize("case", cases(OFFICIAL), ids=" / ".join)
def test_official_case(official: Results, case: tuple[str, str]) -> None:
    assert official[case].error is None


def test_titles_are_unique_within_a_file() -> None:
    """The report names cases by file and title."""
    found = cases(OWN)
    assert len(found) == len(set(found)) > 0


def test_the_report_names_every_case_and_why_it_failed() -> None:
    results = [CaseResult("a.json", "good", None), CaseResult("a.json", "bad", "2 rows, expected 1")]
    assert report(results) == {
        "a.json": {
            "tests": [
                {"name": "good", "result": {"passed": True}},
                {"name": "bad", "result": {"passed": False, "error": "2 rows, expected 1"}},
            ]
        }
    }


def test_other_json_in_the_folder_is_passed_over(light_spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"a.json": {"tests": []}}')
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ReadError, match="no test files"):
        list(run_suite(light_spark, tmp_path))
    view = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}
    test = {"title": "t", "view": view, "expect": []}
    (tmp_path / "tests.json").write_text(json.dumps({"resources": [], "tests": [test]}))
    assert [(result.file, result.error) for result in run_suite(light_spark, tmp_path)] == [
        ("tests.json", None)
    ]
