"""Names in a query and what they mean in the catalog."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws
from sqlglot import exp

from local.query.catalog import Catalog
from local.query.errors import UnknownTable, UnsupportedStatement, did_you_mean
from local.query.result import QueryResult
from local.query.statements import catalog_statement
from local.query.tables import Reference, resolve_tables
from local.query.translate import ATHENA, parse

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

CURATED = "watershed_curated"


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch) -> Iterator[GlueClient]:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client: GlueClient = boto3.client("glue", region_name="us-east-1")
        for database in (CURATED, "watershed_landing"):
            client.create_database(DatabaseInput={"Name": database})
        add(client, CURATED, "patient", Parameters={"table_type": "ICEBERG", "metadata_location": "s3://x"})
        add(client, CURATED, "encounter", Parameters={"table_type": "ICEBERG", "metadata_location": "s3://x"})
        add(
            client,
            "watershed_landing",
            "fhir_export",
            PartitionKeys=[{"Name": "resource_type", "Type": "string"}, {"Name": "day", "Type": "string"}],
        )
        yield client


def add(glue: GlueClient, database: str, name: str, **fields: Any) -> None:
    columns = [{"Name": "id", "Type": "string", "Comment": "Id"}, {"Name": "n", "Type": "int"}]
    serde = {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}
    storage = {"Columns": columns, "Location": f"s3://b/{name}", "SerdeInfo": serde}
    given: Any = {"Name": name, "StorageDescriptor": storage, **fields}
    glue.create_table(DatabaseName=database, TableInput=given)


def view(glue: GlueClient, name: str, sql: str) -> None:
    text = base64.b64encode(json.dumps({"originalSql": sql}).encode()).decode()
    add(glue, CURATED, name, TableType="VIRTUAL_VIEW", ViewOriginalText=f"/* Presto View: {text} */")


def resolve(glue: GlueClient, sql: str) -> tuple[exp.Expr, list[Reference]]:
    return resolve_tables(parse(sql), Catalog(glue), CURATED, parse, lambda value: int(value.name))


def resolved(glue: GlueClient, sql: str) -> tuple[str, list[str]]:
    tree, references = resolve(glue, sql)
    return tree.sql(ATHENA), [reference.table.full_name for reference in references]


@pytest.mark.parametrize(
    "name",
    [
        "patient",
        "curated.patient",
        "watershed_curated.patient",
        "CURATED.Patient",
        '"curated"."patient"',
        "awsdatacatalog.curated.patient",
    ],
)
def test_a_table_has_several_names(glue: GlueClient, name: str) -> None:
    _, references = resolve(glue, f"select * from {name}")
    assert [each.table.full_name for each in references] == ["watershed_curated.patient"]


def test_each_mention_is_a_relation_of_its_own_under_its_old_name(glue: GlueClient) -> None:
    sql, tables = resolved(
        glue, "select curated.patient.id, e.n from curated.patient join encounter e using (id)"
    )
    assert sql == "SELECT patient.id, e.n FROM t0 AS patient JOIN t1 AS e USING (id)"
    assert tables == ["watershed_curated.patient", "watershed_curated.encounter"]
    sql, tables = resolved(glue, "select 1 from patient a, patient b")
    assert sql == "SELECT 1 FROM t0 AS a, t1 AS b"


def test_a_with_query_hides_the_table_of_its_name(glue: GlueClient) -> None:
    sql, tables = resolved(glue, "with patient as (select * from curated.patient) select * from patient")
    assert sql == "WITH patient AS (SELECT * FROM t0 AS patient) SELECT * FROM patient"
    assert len(tables) == 1


def test_tables_are_found_wherever_they_are_named(glue: GlueClient) -> None:
    _, tables = resolved(
        glue,
        "select (select max(n) from encounter) from (select * from patient) p "
        "where id in (select id from encounter) union all select 1 from landing.fhir_export",
    )
    assert sorted(tables) == [f"{CURATED}.encounter"] * 2 + [
        f"{CURATED}.patient",
        "watershed_landing.fhir_export",
    ]


def test_versions_and_metadata_tables(glue: GlueClient) -> None:
    _, (first, second) = resolve(glue, 'select 1 from patient for version as of 7 a, "patient$snapshots" b')
    assert (first.version, first.metadata_table) == (7, None)
    assert (second.version, second.metadata_table) == (None, "snapshots")
    with pytest.raises(UnsupportedStatement, match=r"\$snapshots"):
        resolve(glue, 'select 1 from "patient$nothing"')


def test_as_of_is_the_version_of_every_table_that_names_none(glue: GlueClient) -> None:
    view(glue, "adult", "select id from patient where n >= 18")
    sql = "select 1 from adult join encounter on true join encounter for version as of 7 e on true"
    then = datetime(2025, 1, 31, tzinfo=UTC)
    _, references = resolve_tables(
        parse(sql), Catalog(glue), CURATED, parse, lambda value: int(value.name), then
    )
    assert {(each.table.name, each.version) for each in references} == {
        ("patient", then),
        ("encounter", then),
        ("encounter", 7),
    }


def test_a_view_is_replaced_by_its_query(glue: GlueClient) -> None:
    view(glue, "adult", "select id from patient where n >= 18")
    view(glue, "adult_id", "select id from adult")
    sql, tables = resolved(glue, "select a.id from adult_id a join encounter on true")
    assert tables == [f"{CURATED}.encounter", f"{CURATED}.patient"]
    assert "n >= 18" in sql


def test_views_in_a_circle_are_refused(glue: GlueClient) -> None:
    view(glue, "chicken", "select * from egg")
    view(glue, "egg", "select * from chicken")
    with pytest.raises(UnsupportedStatement, match="nest deeper"):
        resolve(glue, "select * from egg")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "select * from patients",
            r"no table curated.patients. Did you mean curated.patient\? Known: curated.enc",
        ),
        ("select * from landing.patient", "no table landing.patient. Did you mean curated.patient"),
        ("select * from nowhere.patient", "no table nowhere.patient. Did you mean curated.patient"),
    ],
)
def test_an_unknown_table_names_the_known_ones(glue: GlueClient, sql: str, says: str) -> None:
    with pytest.raises(UnknownTable, match=says):
        resolve(glue, sql)


def statement(glue: GlueClient, sql: str) -> QueryResult:
    result = catalog_statement(sql, Catalog(glue), CURATED)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SHOW DATABASES", [("watershed_curated",), ("watershed_landing",)]),
        ("show schemas like '%curated'", [("watershed_curated",)]),
        ("SHOW TABLES;", [("encounter",), ("patient",)]),
        ("show tables in landing", [("fhir_export",)]),
        ("show tables from `watershed_curated` 'pat*'", [("patient",)]),
        ("show columns in landing.fhir_export", [("id",), ("n",), ("resource_type",), ("day",)]),
    ],
)
def test_show(glue: GlueClient, sql: str, rows: list[tuple[str, ...]]) -> None:
    assert list(statement(glue, sql).rows) == rows


def test_describe_tells_columns_and_partitions(glue: GlueClient) -> None:
    rows = statement(glue, "DESCRIBE landing.fhir_export").rows
    assert rows[0] == ("id", "string", "column", "Id")
    assert rows[-1] == ("day", "string", "partition", "")


def test_show_partitions(glue: GlueClient) -> None:
    for values in (["Patient", "2025-01-02"], ["Observation", "2025-01-01"]):
        glue.create_partition(
            DatabaseName="watershed_landing",
            TableName="fhir_export",
            PartitionInput={"Values": values, "StorageDescriptor": {"Location": "s3://b/x"}},
        )
    assert statement(glue, "SHOW PARTITIONS landing.fhir_export").rows == (
        ("resource_type=Observation/day=2025-01-01",),
        ("resource_type=Patient/day=2025-01-02",),
    )


def test_show_tables_of_an_unknown_database_names_the_known_ones(glue: GlueClient) -> None:
    with pytest.raises(UnknownTable, match="Did you mean curated"):
        statement(glue, "show tables in curatd")


def test_a_query_is_no_catalog_statement(glue: GlueClient) -> None:
    assert catalog_statement("select 'show tables'", Catalog(glue), CURATED) is None


def test_nothing_near_suggests_nothing() -> None:
    assert did_you_mean("zzz", ["curated.patient"]) == ""
