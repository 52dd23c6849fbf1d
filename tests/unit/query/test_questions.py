"""The analysts' questions of docs/queries: each parses as Trino, and gives the right answer on a small world.

A question is three files, and a new one is three more: `docs/queries/<name>.sql`; `questions/expected/<name>.yaml`
with the answer; and, where it asks a table that no other asks, `questions/world/<database>.<table>.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
import yaml
from sqlglot import exp

from glue_jobs.conform.item_tables import table_specs
from infra.questions import Question, load_questions
from schemas.item_type import load_item_types
from schemas.model import load_models
from schemas.view import load_views
from tests.unit.query.world import HERE, WORLD, WorldQuery

QUESTIONS = load_questions()


def _plain(value: Any) -> Any:
    """As YAML says it: times in UTC without a zone, decimals as numbers."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, Decimal):
        return float(value)
    return value if isinstance(value, date) or not isinstance(value, float) else round(value, 6)


def _declared() -> dict[str, set[str]]:
    """Columns of the tables whose declarations name them, by table."""
    found = {
        f"watershed_curated.{model.name}": {column.name for column in model.columns}
        for model in load_models().values()
    }
    for view in load_views().values():
        found[f"watershed_curated.{view.name}"] = set(_view_columns(view.definition["select"]))
    for item_type in load_item_types().values():
        for spec in table_specs(item_type):
            found[spec.name] = {column.name for column in spec.columns}
    return found


def _view_columns(selects: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        name
        for select in selects
        for name in (
            *(column["name"] for column in select.get("column", ())),
            *_view_columns(select.get("select", ())),
            *_view_columns(select.get("unionAll", ())[:1]),
        )
    ]


def test_there_are_questions_of_every_kind() -> None:
    assert len(QUESTIONS) >= 20
    assert len({question.title for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_the_answer_is_right(question: Question) -> None:
    expected = yaml.safe_load((HERE / "expected" / f"{question.name}.yaml").read_text())
    answer = WorldQuery(question.sql).answer()
    assert list(answer.columns) == expected["columns"]
    assert [[_plain(value) for value in row] for row in answer.rows] == expected["rows"]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_the_question_is_trino(question: Question) -> None:
    (tree,) = sqlglot.parse(question.sql, read="trino")
    assert isinstance(tree, exp.Select)
    # Written out and read again it is the same: nothing was passed over.
    again = sqlglot.parse_one(tree.sql(dialect="trino"), read="trino")
    assert again.sql(dialect="trino") == tree.sql(dialect="trino")
    ordered = isinstance(tree.args.get("order"), exp.Order)
    assert ordered or not tree.args.get("from_"), "an answer of several rows has an order"


@pytest.mark.parametrize("name", sorted(WORLD))
def test_the_world_has_columns_that_the_tables_have(name: str) -> None:
    declared = _declared()
    if name in declared:
        assert set(WORLD[name].columns) <= declared[name]
    else:
        assert name.startswith(("watershed_ops.", "watershed_landing."))
    for row in WORLD[name].rows:
        assert set(row) <= set(WORLD[name].columns)
