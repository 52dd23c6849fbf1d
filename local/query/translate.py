"""Athena's SQL (Trino) as the engine's (DuckDB): sqlglot translates, what it leaves different is made equal.

Each rewrite below stands for a difference that would change an answer in silence or has no equivalent name.
Trino's own text is the reference: https://trino.io/docs/current/functions.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.optimizer.annotate_types import annotate_types

from local.query.errors import SqlSyntaxError, UnsupportedStatement
from local.query.pushdown import analyse

ATHENA = "athena"
ENGINE = "duckdb"
_MARK = "watershed_node"

MACROS = (
    "create macro to_iso8601(x) as case when typeof(x) = 'DATE' then strftime(x, '%Y-%m-%d') "
    "when typeof(x) = 'TIMESTAMP WITH TIME ZONE' then strftime(x, '%Y-%m-%dT%H:%M:%S.%gZ') "
    "else strftime(x, '%Y-%m-%dT%H:%M:%S.%g') end",
    "create macro at_timezone(x, zone) as timezone(zone, x)",
    "create macro map_agg(k, v) as map(list(k), list(v))",
    "create macro is_json_scalar(x) as json_type(x) not in ('OBJECT', 'ARRAY')",
    "create macro width_bucket(x, low, high, n) as case when x < low then 0 when x >= high then n + 1 "
    "else cast(floor((x - low) / (high - low) * n) as bigint) + 1 end",
    "create macro zip(a, b) as list_zip(a, b)",
    "create macro arbitrary(x) as any_value(x)",
    "create macro human_readable_seconds(x) as cast(to_seconds(x) as varchar)",
)


def parse(sql: str) -> exp.Expr:
    """One query of Athena's dialect.

    Raises
    ------
    SqlSyntaxError : with line and column
    UnsupportedStatement : it is no query, or more than one
    """
    try:
        trees = [each for each in sqlglot.parse(sql, read=ATHENA) if each is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        near = str(first.get("highlight") or "").strip()
        problem = str(first.get("description", "does not parse")).rstrip(".")
        at = f" at {near!r}" if near else ""
        raise SqlSyntaxError(f"{problem}{at}", first.get("line") or 0, first.get("col") or 0) from None
    except TokenError as error:
        raise SqlSyntaxError(f"{str(error).splitlines()[0]}: is a quote or a comment left open?") from None
    if len(trees) != 1:
        raise UnsupportedStatement("Give one statement" if trees else "The statement is empty")
    if not isinstance(trees[0], exp.Query):
        raise UnsupportedStatement(
            f"{trees[0].key.upper()} is not run here, only SELECT, SHOW and DESCRIBE: jobs change the tables"
        )
    return trees[0]


def to_engine(tree: exp.Expr, schema: Mapping[str, Mapping[str, str]]) -> str:
    """The engine's SQL for a parsed query over relations of these columns and types."""
    tree = _name_columns(tree)
    _rewrite_by_type(tree, schema)
    tree = tree.transform(_rewrite)
    return tree.sql(dialect=ENGINE, unsupported_level=sqlglot.ErrorLevel.IGNORE)


def _name_columns(tree: exp.Expr) -> exp.Expr:
    """Athena names a result column that has no name ``_col<position>``."""
    selected = tree
    while isinstance(selected, exp.SetOperation | exp.Subquery):
        selected = selected.this
    if isinstance(selected, exp.Select):
        for position, each in enumerate(selected.expressions):
            if not isinstance(each, exp.Alias | exp.Column | exp.Dot) and not each.is_star:
                each.replace(exp.alias_(each.copy(), f"_col{position}", quoted=False))
    return tree


_TYPED = (
    exp.Add,
    exp.Sub,
    exp.Div,
    exp.DateAdd,
    exp.DateTrunc,
    exp.TimestampTrunc,
    exp.Avg,
    exp.GenerateSeries,
)


def _rewrite_by_type(tree: exp.Expr, schema: Mapping[str, Mapping[str, str]]) -> None:
    """What depends on types: a date plus an interval is a date, an average of decimals a decimal."""
    nodes: dict[int, exp.Expr] = {}
    for number, node in enumerate(tree.walk()):
        if isinstance(node, _TYPED):
            node.meta[_MARK] = number
            nodes[number] = node
    if not nodes:
        return
    known = analyse(tree, schema, ATHENA).tree
    if known is None:
        return
    typed = annotate_types(
        known, schema={name: dict(columns) for name, columns in schema.items()}, dialect=ATHENA
    )
    for twin in typed.walk():
        mark = twin.meta.get(_MARK, -1)
        wanted = _trino_type(twin) if mark in nodes else None
        if wanted is not None:
            # The node itself is what `replace` takes away, so its copy goes into the cast.
            node = nodes.pop(mark)
            while isinstance(node.parent, exp.Window | exp.Filter) and node.parent.this is node:
                node = node.parent
            node.replace(exp.cast(node.copy(), wanted))


def _trino_type(node: exp.Expr) -> exp.DataType | None:
    """The type that Trino gives a node, where the engine's is another."""
    if isinstance(node, exp.Avg):
        inner = node.this.type
        return inner.copy() if inner is not None and inner.is_type(exp.DataType.Type.DECIMAL) else None
    if isinstance(node, exp.GenerateSeries):
        start = node.args["start"].type
        is_dates = start is not None and start.is_type(exp.DataType.Type.DATE)
        return exp.DataType.build("array<date>") if is_dates else None
    if isinstance(node, exp.Div):
        return _quotient(_decimal(node.this), _decimal(node.expression))
    keeps_date = not isinstance(node, exp.Add | exp.Sub) or isinstance(node.expression, exp.Interval)
    base = node.this.type
    if keeps_date and base is not None and base.is_type(exp.DataType.Type.DATE):
        return exp.DataType.build("date")
    return None


_INTEGERS = {exp.DataType.Type.INT: 10, exp.DataType.Type.BIGINT: 19, exp.DataType.Type.SMALLINT: 5}


def _decimal(node: exp.Expr) -> tuple[int, int, bool] | None:
    """Precision and scale of an exact number, and whether it is an integer; None of anything else."""
    if isinstance(node, exp.Paren | exp.Neg):
        return _decimal(node.this)
    if isinstance(node, exp.Literal) and not node.is_string and "e" not in node.name.lower():
        whole, _, fraction = node.name.partition(".")
        if "." in node.name:
            return len(whole.lstrip("0")) + len(fraction), len(fraction), False
    kind = node.type
    if kind is None:
        return None
    if kind.is_type(exp.DataType.Type.DECIMAL):
        sizes = [int(each.name) for each in kind.expressions]
        return (*sizes, False) if len(sizes) == 2 else None  # type: ignore[return-value]
    precision = _INTEGERS.get(kind.this)
    return None if precision is None else (precision, 0, True)


def _quotient(left: tuple[int, int, bool] | None, right: tuple[int, int, bool] | None) -> exp.DataType | None:
    """The type of a quotient of decimals (https://trino.io/docs/current/functions/decimal.html)."""
    if left is None or right is None or (left[2] and right[2]):
        return None
    precision = min(38, left[0] + right[1] + max(0, right[1] - left[1]))
    return exp.DataType.build(f"decimal({precision},{max(left[1], right[1])})")


def _rewrite(node: exp.Expr) -> exp.Expr:
    rewrite = _BY_KIND.get(type(node))
    if rewrite is not None:
        return rewrite(node)
    if isinstance(node, exp.Anonymous):
        by_name = _BY_NAME.get(node.name.lower())
        return by_name(node) if by_name is not None else node
    return node


def _complete_units(node: exp.Expr) -> exp.Expr:
    """Trino counts whole units between two moments; the engine's ``date_diff`` counts the borders crossed."""
    unit = str(node.args.get("unit") or "day").lower()
    return exp.Anonymous(this="date_sub", expressions=[exp.Literal.string(unit), node.expression, node.this])


def _count_if(node: exp.Expr) -> exp.Expr:
    """Trino counts nought where no condition is true; the engine's own answers null where all are unknown."""
    return exp.Count(this=exp.Case(ifs=[exp.If(this=node.this, true=exp.Literal.number(1))]))


def _scalar_only(node: exp.Expr) -> exp.Expr:
    """Null for text that is no JSON, and for what is no scalar there."""
    found = exp.JSONExtractScalar(this=node.this.copy(), expression=node.expression.copy())
    path = node.expression.sql(dialect=ENGINE)
    text = node.this.sql(dialect=ENGINE)
    guard = f"json_valid({text}) and json_type({text}, {path}) not in ('OBJECT', 'ARRAY')"
    condition = sqlglot.condition(guard, dialect=ENGINE)
    found.meta["guarded"] = True
    return exp.Case(ifs=[exp.If(this=condition, true=found)])


def _lambda_test(aggregate: str, empty: bool, negated: bool = False) -> Callable[[exp.Expr], exp.Expr]:
    """``any_match`` and its kin: test each element, then fold."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        array, test = node.expressions
        tests = exp.Transform(this=array, expression=test)
        folded: exp.Expr = exp.Anonymous(this=aggregate, expressions=[tests])
        folded = exp.Coalesce(this=folded, expressions=[exp.Boolean(this=empty)])
        return exp.Not(this=exp.Paren(this=folded)) if negated else folded

    return rewrite


_JAVA_FORMAT = (
    ("yyyy", "%Y"),
    ("YYYY", "%Y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("dd", "%d"),
    ("HH", "%H"),
    ("hh", "%I"),
    ("mm", "%M"),
    ("ss", "%S"),
    ("SSS", "%g"),
    ("EEEE", "%A"),
    ("EEE", "%a"),
    ("yy", "%y"),
    ("a", "%p"),
)


def java_format(pattern: str) -> str:
    """A Joda pattern as ``strftime`` writes it: ``yyyy-MM-dd'T'HH`` → ``%Y-%m-%dT%H``.

    Raises
    ------
    UnsupportedStatement : it has a letter that is not known here
    """
    written, rest = "", pattern
    while rest:
        if rest[0] == "'":
            quoted, _, rest = rest[1:].partition("'")
            written += quoted or "'"
            continue
        letters = next((pair for pair in _JAVA_FORMAT if rest.startswith(pair[0])), None)
        if letters is None and rest[0].isalpha():
            raise UnsupportedStatement(f"The date format {pattern!r} is not known here, from {rest!r} on")
        written += letters[1] if letters else rest[0]
        rest = rest[len(letters[0]) :] if letters else rest[1:]
    return written


def _format_datetime(node: exp.Expr) -> exp.Expr:
    moment, pattern = node.expressions
    return exp.Anonymous(this="strftime", expressions=[moment, exp.Literal.string(java_format(pattern.name))])


def _parse_datetime(node: exp.Expr) -> exp.Expr:
    """Trino's ``parse_datetime`` gives a time with its zone."""
    text, pattern = node.this, node.args.get("format") or (node.expressions or [None])[0]
    if not isinstance(pattern, exp.Literal):
        raise UnsupportedStatement("parse_datetime needs its format as a text literal here")
    parsed = exp.Anonymous(this="strptime", expressions=[text, exp.Literal.string(java_format(pattern.name))])
    return exp.cast(parsed, "timestamptz")


_BY_KIND: Mapping[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.DateDiff: _complete_units,
    exp.CountIf: _count_if,
    exp.JSONExtractScalar: lambda node: node if node.meta.get("guarded") else _scalar_only(node),
    exp.ParseDatetime: _parse_datetime,
}

_BY_NAME: Mapping[str, Callable[[exp.Expr], exp.Expr]] = {
    "any_match": _lambda_test("list_bool_or", empty=False),
    "all_match": _lambda_test("list_bool_and", empty=True),
    "none_match": _lambda_test("list_bool_or", empty=False, negated=True),
    "format_datetime": _format_datetime,
}
