"""The guide for notebooks does what it says: its blocks are run against moto, whose Athena answers with the
engine's answers on the small world."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.athena.models import AthenaBackend, QueryResults

from tests.unit.query.world import WORLD, WorldQuery

pytest.importorskip("awswrangler", reason="the guide is for awswrangler: pip install awswrangler")

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "notebooks.md"
RESULTS = "watershed-results-123456789012-eu-west-1"


def _answer(backend: AthenaBackend, execution_id: str) -> None:
    """In the place of moto's canned results."""
    if execution_id in backend.query_results:
        return
    answer = WorldQuery(backend.executions[execution_id].query).answer()
    rows = [_row(answer.columns), *(_row(row) for row in answer.rows)]
    columns = [
        {"Name": name, "Label": name, "Type": kind.partition("(")[0], "Precision": 38, "Scale": 9}
        for name, kind in zip(answer.columns, answer.types, strict=True)
    ]
    backend.query_results[execution_id] = QueryResults(rows=rows, column_info=columns)
    backend._store_query_result_in_s3(execution_id)


def _row(values: tuple[Any, ...]) -> dict[str, Any]:
    return {"Data": [{} if value is None else {"VarCharValue": _text(value)} for value in values]}


def _text(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A deployment as an analyst sees it: the catalog, the workgroup, the results bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(AthenaBackend, "_store_predefined_query_results", _answer)
    monkeypatch.chdir(ROOT)
    with mock_aws():
        boto3.client("s3", region_name="eu-west-1").create_bucket(
            Bucket=RESULTS, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        boto3.client("athena", region_name="eu-west-1").create_work_group(
            Name="watershed",
            Configuration={
                "EnforceWorkGroupConfiguration": True,
                "ResultConfiguration": {"OutputLocation": f"s3://{RESULTS}/watershed/"},
            },
        )
        glue = boto3.client("glue", region_name="eu-west-1")
        glue.create_database(DatabaseInput={"Name": "watershed_curated"})
        for full_name, table in WORLD.items():
            database, _, name = full_name.partition(".")
            if database == "watershed_curated":
                columns = [{"Name": each, "Type": kind} for each, kind in table.columns.items()]
                glue.create_table(
                    DatabaseName=database,
                    TableInput={
                        "Name": name,
                        "Parameters": {"table_type": "ICEBERG"},
                        "StorageDescriptor": {"Columns": columns, "Location": "s3://lake/"},
                    },
                )
        yield


def test_every_block_of_the_guide_does_what_it_says(account: None) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    notebook: dict[str, Any] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{GUIDE.name}, block {number}", "exec"), notebook)
    assert {"patient", "encounter", "observation"} <= set(notebook["tables"]["Table"])
    assert list(notebook["columns"]["Column Name"]) == list(WORLD["watershed_curated.patient"].columns)
    assert notebook["kinds"]["birth_date"] == "date"
    assert notebook["seen"].to_dict("list") == {"class_code": ["AMB", "EMER", "IMP"], "encounters": [2, 1, 4]}
    assert notebook["rows"] == len(WORLD["watershed_curated.observation"].rows)
    assert list(notebook["trend"]["patient_key"]) == ["p3", "p1"]
    assert [float(each) for each in notebook["again"]["change"]] == [0.5, -0.9]
    kept = boto3.client("s3", region_name="eu-west-1").list_objects_v2(
        Bucket=RESULTS, Prefix="watershed/notebooks/"
    )
    assert kept["KeyCount"] == 1
