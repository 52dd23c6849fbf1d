"""Random views over random patients give the rows that a plain reading of the specification gives.

Few examples run by default, always the same ones. To search: WATERSHED_RANDOM_VIEWS=200 pytest <this file>.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from glue_jobs.sql_on_fhir import compile_views
from glue_jobs.sql_on_fhir.json_rows import json_line
from glue_jobs.sql_on_fhir.sql import FAILURE
from tests.spark.sql_on_fhir.reference_runner import SEVERAL, Row, run_view
from tests.spark.sql_on_fhir.view_strategies import patients, views

pytestmark = pytest.mark.spark
_QUICK = 2
EXAMPLES = int(os.environ.get("WATERSHED_RANDOM_VIEWS", _QUICK))

search = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES <= _QUICK,
    database=None,
    deadline=None,
    # No shrinking: a failure already names one view, and every attempt is a Spark job.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@search
@given(st.lists(views(), min_size=6, max_size=6), patients(8))
def test_rows_are_those_of_the_reference(
    spark: SparkSession, drawn: list[dict[str, Any]], resources: list[dict[str, Any]]
) -> None:
    expected = [run_view(view, resources) for view in drawn]
    good = {f"v{n}": view for n, view in enumerate(drawn) if not _fails(expected[n])}
    found = _run(spark, good, resources)
    for number, rows in enumerate(expected):
        name = f"v{number}"
        if name in good:
            ours, theirs = Counter(found[name]), Counter(map(_canonical, rows))
            if ours != theirs:
                pytest.fail(_report(good[name], resources, theirs - ours, ours - theirs), pytrace=False)
    for view, rows in zip(drawn, expected, strict=True):
        if _fails(rows):
            with pytest.raises(Exception, match=FAILURE):
                _run(spark, {"failing": view}, resources)
            break


def _fails(rows: Sequence[Row]) -> bool:
    return any(value is SEVERAL for row in rows for value in row.values())


def _run(
    spark: SparkSession, named: Mapping[str, Mapping[str, Any]], resources: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """The rows of every view as canonical text, in one Spark job."""
    if not named:
        return {}
    lines = spark.createDataFrame([(json.dumps(resource),) for resource in resources], "resource STRING")
    plan = compile_views([{**view, "name": name} for name, view in named.items()], lexical=True)
    found: dict[str, list[str]] = {name: [] for name in named}
    with plan.run(lines.coalesce(1)) as frames:
        parts = [
            frame.selectExpr(f"'{name}' AS view", f"{json_line(plan.views[name].outputs)} AS line")
            for name, frame in frames.items()
        ]
        for name, line in reduce(lambda a, b: a.unionAll(b), parts).collect():
            found[name].append(_canonical(json.loads(line, parse_float=Decimal)))
    return found


def _canonical(row: Row) -> str:
    return json.dumps({key: _plain(value) for key, value in row.items() if value is not None}, sort_keys=True)


def _plain(value: Any) -> Any:
    """Numbers compare by value."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return f"{Decimal(value).normalize():f}" if is_number else value


def _report(
    view: Mapping[str, Any],
    resources: Sequence[Mapping[str, Any]],
    missing: Counter[str],
    surplus: Counter[str],
) -> str:
    """What is needed to repeat a failure: the one view, and the resources whose rows differ where they tell."""
    ids = {json.loads(row).get("id") for row in (*missing, *surplus)}
    shown = [resource for resource in resources if resource["id"] in ids]
    parts = {"view": view, "resources": shown, "missing": list(missing), "surplus": list(surplus)}
    return "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in parts.items())
