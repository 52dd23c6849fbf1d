"""What is loaded of each table never changes an answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.query.pushdown import Comparison, Need, analyse
from local.query.translate import ATHENA, parse, to_engine
from tests.conftest import examples

SCHEMA = {
    "t0": {"id": "int", "kind": "string", "flag": "boolean", "day": "date", "at": "timestamp"},
    "t1": {"id": "int", "kind": "string", "note": "string"},
}


def need(sql: str, table: str = "t0") -> Need:
    return analyse(parse(sql), SCHEMA, ATHENA).needs[table]


def columns(sql: str, table: str = "t0") -> set[str]:
    found = need(sql, table).columns
    assert found is not None
    return set(found)


def test_only_named_columns_are_loaded() -> None:
    assert columns("select a.id from t0 a where kind = 'x'") == {"id", "kind"}
    assert columns("select count(*) from t0") == set()
    assert columns("select * from t0") == set(SCHEMA["t0"])
    assert columns("select id from (select * from t0)") == set(SCHEMA["t0"])
    assert columns("select b.note from t0 a join t1 b on a.id = b.id", "t1") == {"id", "note"}
    assert columns("select id from t0 where exists (select 1 from t1 where t1.kind = t0.kind)") == {
        "id",
        "kind",
    }
    assert columns("select id from t0 order by day") == {"id", "day"}


@pytest.mark.parametrize(
    ("condition", "comparisons"),
    [
        ("kind = 'x'", [Comparison("kind", "=", ("x",))]),
        ("'x' = kind", [Comparison("kind", "=", ("x",))]),
        ("3 < id", [Comparison("id", ">", (3,))]),
        ("id <= 3 and kind = 'x'", [Comparison("id", "<=", (3,)), Comparison("kind", "=", ("x",))]),
        ("kind in ('x', 'y')", [Comparison("kind", "in", ("x", "y"))]),
        ("id between 1 and 2", [Comparison("id", ">=", (1,)), Comparison("id", "<=", (2,))]),
        ("flag = true", [Comparison("flag", "=", (True,))]),
        ("day = date '2024-01-01'", [Comparison("day", "=", (date(2024, 1, 1),))]),
        ("day >= date('2024-01-01')", [Comparison("day", ">=", (date(2024, 1, 1),))]),
        ("at < timestamp '2024-01-01 00:00:00'", [Comparison("at", "<", (datetime(2024, 1, 1),))]),
        # Nothing that a conversion, a null or another row may decide.
        ("kind = 1", []),
        ("id = '1'", []),
        ("day = '2024-01-01'", []),
        ("day >= timestamp '2024-01-01 00:00:00'", []),
        ("kind = 'x' or id = 1", []),
        ("not kind = 'x'", []),
        ("kind is null", []),
        ("kind <> 'x'", []),
        ("lower(kind) = 'x'", []),
        ("kind in ('x', null)", []),
        ("kind in (select kind from t1)", []),
    ],
)
def test_only_comparisons_that_rows_must_pass_are_taken(
    condition: str, comparisons: list[Comparison]
) -> None:
    assert list(need(f"select id from t0 where {condition}").comparisons) == comparisons


def test_a_condition_of_a_join_is_no_filter() -> None:
    assert need("select a.id from t0 a left join t1 b on a.kind = 'x'").comparisons == ()


def test_what_cannot_be_analysed_is_loaded_whole() -> None:
    assert analyse(parse("select x.nothing from t0"), SCHEMA, ATHENA).needs.get("t0", Need()).columns is None


T0 = [(1, "x", True), (2, "y", None), (None, "x", False), (3, None, True), (1, "y", False)]
T1 = [(1, "x", "n1"), (2, None, "n2"), (None, "y", None), (4, "x", "n1")]
CONDITIONS = st.sampled_from(
    [
        "a.id = 1",
        "a.id >= 2",
        "a.kind = 'x'",
        "a.kind in ('x', 'y')",
        "a.id between 1 and 2",
        "a.kind is null",
        "b.id = 1",
        "b.kind = 'x'",
        "b.note = 'n1'",
        "b.id is null",
        "b.note <> 'n1'",
        "a.kind = b.kind",
        "(a.id = 1 or b.id = 4)",
        "not a.kind = 'x'",
        "exists (select 1 from t1 c where c.id = a.id and c.note = 'n1')",
    ]
)


@settings(deadline=None, max_examples=examples(150))
@given(
    st.sampled_from(["join", "left join", "right join", "full join"]),
    st.sampled_from(["a.id = b.id", "a.kind = b.kind", "a.id = b.id and b.note = 'n1'"]),
    st.lists(CONDITIONS, max_size=3),
)
def test_loading_less_never_changes_an_answer(join: str, on: str, conditions: list[str]) -> None:
    where = f"where {' and '.join(conditions)}" if conditions else ""
    sql = f"select a.id, a.kind, b.id as other, b.note from t0 a {join} t1 b on {on} {where}"
    # The inner query names t1 a second time, as a relation of its own.
    sql = sql.replace("from t1 c", "from t2 c")
    schema = {**SCHEMA, "t2": SCHEMA["t1"]}
    tree = parse(sql)
    needs = analyse(tree, schema, ATHENA).needs
    engine_sql = to_engine(tree, schema)
    whole = {"t0": Need(), "t1": Need(), "t2": Need()}
    assert answer(engine_sql, dict(needs)) == answer(engine_sql, whole)


def answer(sql: str, needs: dict[str, Need]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        for table, rows in (("t0", T0), ("t1", T1), ("t2", T1)):
            names = list(SCHEMA["t0" if table == "t0" else "t1"])[:3]
            wanted = needs.get(table, Need())
            kept = [row for row in rows if passes(dict(zip(names, row, strict=True)), wanted)]
            loaded = names if wanted.columns is None else [name for name in names if name in wanted.columns]
            loaded = loaded or names[:1]
            types = {"id": "int", "kind": "varchar", "note": "varchar", "flag": "boolean"}
            connection.execute(
                f"create table {table} ({', '.join(f'{name} {types[name]}' for name in loaded)})"
            )
            for row in kept:
                values = [value for name, value in zip(names, row, strict=True) if name in loaded]
                connection.execute(f"insert into {table} values ({', '.join('?' * len(values))})", values)
        return sorted(connection.execute(sql).fetchall(), key=str)


def passes(row: dict[str, Any], wanted: Need) -> bool:
    return all(comparison.holds(row[comparison.column]) for comparison in wanted.comparisons)
