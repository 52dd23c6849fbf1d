"""Athena's SQL on the engine: each case from Trino's documentation, computed, not just compared as text."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from local.query.engine import compute
from local.query.errors import QueryFailed, SqlSyntaxError, UnsupportedStatement
from local.query.translate import java_format, parse

CASES: list[tuple[str, Any]] = [
    # Whole units between two moments, not borders crossed.
    ("date_diff('year', date '2000-06-15', date '2024-06-14')", 23),
    ("date_diff('hour', timestamp '2024-01-01 00:59:00', timestamp '2024-01-01 01:01:00')", 0),
    ("date_diff('day', date '2024-01-01', date '2024-03-01')", 60),
    ("date_diff('month', date '2024-01-31', date '2024-02-29')", 1),
    ("date_diff('day', date '2024-03-01', date '2024-01-01')", -60),
    # A date stays a date.
    ("date '2024-01-31' + interval '1' month", date(2024, 2, 29)),
    ("date_add('day', -1, date '2024-03-01')", date(2024, 2, 29)),
    ("date '2024-03-01' - interval '1' day", date(2024, 2, 29)),
    ("date_trunc('month', date '2024-03-17')", date(2024, 3, 1)),
    ("date_add('hour', 2, timestamp '2024-01-01 23:00:00')", datetime(2024, 1, 2, 1)),
    ("sequence(date '2024-02-28', date '2024-03-01', interval '1' day)[2]", date(2024, 2, 29)),
    ("cast(date_add('day', 1, date '2024-02-28') as varchar)", "2024-02-29"),
    # Arithmetic.
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 / 2.0", Decimal("3.5")),
    ("5 % 3", 2),
    ("cast(1 as decimal(10,2)) / 3", Decimal("0.33")),
    ("2e0 / 4", 0.5),
    ("round(2.567, 2)", Decimal("2.570")),
    ("width_bucket(3.5, 0, 10, 5)", 2),
    # What is unknown is not counted, and none is nought.
    ("(select count_if(x > 1) from (values cast(null as integer)) as t(x))", 0),
    ("(select count_if(x > 1) from (values 1, 2, null, 3) as t(x))", 2),
    # JSON: only scalars, and nothing where the text is no JSON.
    ('json_extract_scalar(\'{"a":{"b":"x"}}\', \'$.a.b\')', "x"),
    ("json_extract_scalar('{\"a\":{\"b\":1}}', '$.a')", None),
    ("json_extract_scalar('{\"a\":[1]}', '$.a[0]')", "1"),
    ("json_extract_scalar('no json', '$.a')", None),
    ("json_extract_scalar(null, '$.a')", None),
    ("json_array_length('[1,2]')", 2),
    ("cast(json_extract('{\"a\":[1,2]}', '$.a') as array(integer))", [1, 2]),
    # Arrays, maps, lambdas.
    ("element_at(array[1, 2], 1)", 1),
    ("cardinality(array[1, 2])", 2),
    ("contains(array['a'], 'a')", True),
    ("filter(array[1, 2, 3], x -> x > 1)", [2, 3]),
    ("transform(array[1, 2], x -> x * 2)", [2, 4]),
    ("any_match(array[1, 2], x -> x = 2)", True),
    ("any_match(cast(array[] as array(integer)), x -> x = 2)", False),
    ("all_match(cast(array[] as array(integer)), x -> x = 2)", True),
    ("all_match(array[1, 2], x -> x > 1)", False),
    ("none_match(array[1, 2], x -> x > 2)", True),
    ("array_join(array['a', 'b'], '-')", "a-b"),
    ("map(array['a'], array[1])['a']", 1),
    # Text.
    ("regexp_like('abc', 'a.c')", True),
    ("regexp_extract('a1b', '([0-9])', 1)", "1"),
    ("regexp_replace('aa', 'a', 'b')", "bb"),
    ("split_part('a,b', ',', 2)", "b"),
    ("strpos('abc', 'b')", 2),
    ("substr('abc', 2, 1)", "b"),
    ("try_cast('x' as integer)", None),
    # Times.
    ("date_format(timestamp '2024-01-02 03:04:05', '%Y-%m-%d %H:%i')", "2024-01-02 03:04"),
    ("format_datetime(timestamp '2024-01-02 03:04:05', 'yyyy-MM-dd''T''HH:mm')", "2024-01-02T03:04"),
    ("to_iso8601(date '2024-01-02')", "2024-01-02"),
    ("day_of_week(date '2024-01-07')", 7),
    ("year(date '2024-01-07')", 2024),
    ("from_iso8601_date('2024-01-07')", date(2024, 1, 7)),
    ("to_unixtime(timestamp '1970-01-01 00:01:00')", 60.0),
    ("extract(hour from timestamp '2024-01-02 03:04:05')", 3),
    ("last_day_of_month(date '2024-02-01')", date(2024, 2, 29)),
    # Conditions.
    ("if(true, 1, 2)", 1),
    ("coalesce(null, 2)", 2),
    ("nullif(1, 1)", None),
]


@pytest.mark.parametrize(("expression", "expected"), CASES, ids=[case[0] for case in CASES])
def test_an_expression_has_the_value_it_has_in_athena(expression: str, expected: Any) -> None:
    ((value,),) = compute(f"select {expression} as v").rows
    assert value == expected
    assert type(value) is type(expected)


ROWS = (
    "(values (1, 'a', cast(1.50 as decimal(10,2))), (2, 'a', 2.25), (3, 'b', null)) as t (id, kind, amount)"
)
QUERIES: list[tuple[str, list[tuple[Any, ...]]]] = [
    (
        f"select kind, count(*), avg(amount), sum(id) from {ROWS} group by kind order by 1",
        [("a", 2, Decimal("1.88"), 3), ("b", 1, None, 3)],
    ),
    (f"select max_by(kind, id), min_by(kind, id), count_if(id > 1) from {ROWS}", [("b", "a", 2)]),
    (f"select array_agg(id order by id desc) from {ROWS}", [([3, 2, 1],)]),
    (f"select map_agg(id, kind)[3] from {ROWS}", [("b",)]),
    (f"select approx_distinct(kind), arbitrary(1) from {ROWS}", [(2, 1)]),
    (f"select id from {ROWS} order by amount", [(1,), (2,), (3,)]),
    (f"select id from {ROWS} order by amount desc", [(2,), (1,), (3,)]),
    (
        f"select id, row_number() over (partition by kind order by id desc) from {ROWS} order by 1",
        [(1, 2), (2, 1), (3, 1)],
    ),
    (
        f"select lag(id) over (order by id), avg(amount) over (partition by kind) from {ROWS} "
        "where kind = 'a' order by id",
        [(None, Decimal("1.88")), (1, Decimal("1.88"))],
    ),
    ("select x, n from unnest(array['a', 'b']) with ordinality as t (x, n) order by n", [("a", 1), ("b", 2)]),
    (
        "select kind, x from (values ('k', array[1, 2])) v (kind, xs) "
        "cross join unnest(xs) as t (x) order by x",
        [("k", 1), ("k", 2)],
    ),
    (
        "select day from unnest(sequence(date '2024-01-01', date '2024-01-02', interval '1' day)) as t (day)",
        [(date(2024, 1, 1),), (date(2024, 1, 2),)],
    ),
    (f"select listagg(cast(id as varchar), ',') within group (order by id) from {ROWS}", [("1,2,3",)]),
    (
        f"select kind, grouping(kind), count(*) from {ROWS} group by rollup (kind) order by 2, 1",
        [("a", 0, 2), ("b", 0, 1), (None, 1, 3)],
    ),
    (f"with w as (select * from {ROWS}) select count(*) from w a join w b using (kind)", [(5,)]),
    ("select 1 union all select 2 order by 1 desc offset 1 limit 1", [(1,)]),
]


@pytest.mark.parametrize(("sql", "rows"), QUERIES, ids=[query[0] for query in QUERIES])
def test_a_query_answers_what_athena_answers(sql: str, rows: list[tuple[Any, ...]]) -> None:
    assert list(compute(sql).rows) == rows


def test_columns_are_named_and_typed_as_in_athena() -> None:
    result = compute(
        "select 1, 'a' as b, 1.5, array[1], map(array['a'], array[1.5]), "
        "cast(row(1, 'x') as row(n integer, s varchar)), true, sum(1), date '2024-01-01', count(*)"
    )
    assert result.columns == (
        "_col0",
        "b",
        "_col2",
        "_col3",
        "_col4",
        "_col5",
        "_col6",
        "_col7",
        "_col8",
        "_col9",
    )
    assert result.types == (
        "integer", "varchar", "decimal(2,1)", "array(integer)", "map(varchar, decimal(2,1))",
        "row(n integer, s varchar)", "boolean", "bigint", "date", "bigint",
    )  # fmt: skip
    assert type(result.rows[0][7]) is int


def test_two_columns_of_one_name_are_both_answered() -> None:
    assert compute("select 1 as a, 2 as a").rows == ((1, 2),)


@pytest.mark.parametrize(
    ("sql", "line", "near"),
    [("select 1 frm t where", 1, "t"), ("select 1\nfrom t\nwhere a = = b", 3, "="), ("select (1", 1, "1")],
)
def test_a_syntax_error_tells_where(sql: str, line: int, near: str) -> None:
    with pytest.raises(SqlSyntaxError, match=near) as caught:
        parse(sql)
    assert caught.value.line == line
    assert caught.value.column > 0


@pytest.mark.parametrize("sql", ["select 'open", 'select "open', "select /* open"])
def test_an_open_quote_is_a_syntax_error(sql: str) -> None:
    with pytest.raises(SqlSyntaxError):
        parse(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "delete from t",
        "drop table t",
        "insert into t select 1",
        "create table t as select 1",
        "select 1; select 2",
        "",
        "vacuum t",
    ],
)
def test_only_one_statement_that_reads_is_run(sql: str) -> None:
    with pytest.raises(UnsupportedStatement):
        parse(sql)


def test_a_failure_while_computing_is_told_without_the_translation() -> None:
    with pytest.raises(QueryFailed, match="Could not convert string 'x'") as caught:
        compute("select cast('x' as integer)")
    assert "LINE" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from duckdb_settings()",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
    ],
)
def test_a_query_reaches_nothing_but_the_catalog(sql: str) -> None:
    with pytest.raises((UnsupportedStatement, SqlSyntaxError, QueryFailed)):
        compute(sql)


@pytest.mark.parametrize(
    ("pattern", "format"),
    [
        ("yyyy-MM-dd", "%Y-%m-%d"),
        ("dd.MM.yy HH:mm:ss.SSS", "%d.%m.%y %H:%M:%S.%g"),
        ("'at' hh a", "at %I %p"),
    ],
)
def test_java_formats(pattern: str, format: str) -> None:
    assert java_format(pattern) == format


def test_a_java_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnsupportedStatement, match="'Q'"):
        java_format("yyyy-Q")
