"""Every declaration in the repo loads, and the loaders of views, models and suites refuse what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas import SchemaError, item_change_tables, load_item_types, load_landing_tables, snake_case
from schemas.expectation import load_suites, read_suite
from schemas.model import load_models
from schemas.view import KEY_COLUMN, load_views, read_view


def test_every_curated_table_has_a_suite_and_every_suite_a_table() -> None:
    assert set(load_suites()) == set(load_views()) | set(load_models())


def test_models_read_tables_that_exist() -> None:
    conformed = {each.sql_name for each in load_item_types().values()} | {"fhir_resource"}
    curated = set(load_views()) | set(load_models())
    for model in load_models().values():
        for dependency in model.depends_on:
            assert dependency.table in (conformed if dependency.zone == "conformed" else curated)


def test_a_landing_table_per_item_type_and_one_for_what_none_claims() -> None:
    tables = item_change_tables(load_landing_tables()["item_change"], load_item_types().values())
    site = tables["site_activity_change"]
    assert site.prefix == "items/table_name=watershed-site-activity/item_type=SiteActivity/"
    assert [key.name for key in site.partition_keys] == ["site_id", "year", "month", "day", "hour"]
    assert "watershed_registry_unmatched_change" in tables


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("createdAtTime", "created_at_time"),
        ("siteID", "site_id"),
        ("HTTPServer", "http_server"),
        ("a-b", "a_b"),
    ],
)
def test_columns_are_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_a_view_needs_the_key_of_its_resource(tmp_path: Path) -> None:
    file = tmp_path / "goal.json"
    view = {
        "name": "goal",
        "resource": "Goal",
        "description": "Goals.",
        "select": [{"column": [{"name": "id"}]}],
    }
    file.write_text(json.dumps(view))
    with pytest.raises(SchemaError, match=f"needs a column '{KEY_COLUMN}'"):
        read_view(file)


def test_a_broken_view_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "goal.json"
    file.write_text('{"name": "goal",\n "resource": }')
    with pytest.raises(SchemaError, match="line 2: is not JSON"):
        read_view(file)


MODEL = """
name: {name}
description: A model.
grain: One row per patient.
key: [patient_id]
columns:
  patient_id: {{description: Patient}}
depends_on:
  other: {{table: curated.{reads}, changed_keys: select patient_id from changed}}
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("key", 5),
        ("columns.patient_id.description", 7),
        ("columns.absent", 6),
        ("depends_on.other.changed_keys", 9),
        ("tables.curated.patient.keep_days", 11),
        ("checks[1].with.column", 15),
        ("checks[2].with", 12),
        ("nowhere", None),
    ],
)
def test_an_error_names_the_line_of_its_field(tmp_path: Path, field: str, line: int | None) -> None:
    file = tmp_path / "a.yaml"
    more = "tables:\n  curated.patient: {keep_days: 7}\nchecks:\n  - with: {column: id}\n  - of: x\n    with: {column: id}\n"
    file.write_text(MODEL.format(name="a", reads="b") + more)
    error = SchemaError(file, field, "is wrong")
    assert error.line == line
    assert str(error).endswith(f"is wrong (line {line})" if line else "is wrong")


def test_an_error_in_a_view_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "goal.json"
    file.write_text('{"name": "goal",\n "resource": "Goal",\n "description": "",\n "select": []}')
    with pytest.raises(SchemaError, match=r"select: needs a column .* \(line 4\)"):
        read_view(file)


def test_models_come_after_what_they_read_and_never_in_a_circle(tmp_path: Path) -> None:
    for name, reads in (("a", "b"), ("b", "patient")):
        (tmp_path / f"{name}.yaml").write_text(MODEL.format(name=name, reads=reads))
        (tmp_path / f"{name}.sql").write_text("select patient_id from other")
    assert list(load_models(tmp_path)) == ["b", "a"]
    (tmp_path / "b.yaml").write_text(MODEL.format(name="b", reads="a"))
    with pytest.raises(SchemaError, match=r"b\.yaml: .* in a circle: a -> b -> a \(line 9\)"):
        load_models(tmp_path)


def test_a_model_without_its_select_names_the_missing_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MODEL.format(name="a", reads="patient"))
    with pytest.raises(SchemaError, match=r"a\.sql: no such file"):
        load_models(tmp_path)


def test_an_expectation_has_a_known_severity(tmp_path: Path) -> None:
    file = tmp_path / "patient.yaml"
    file.write_text(
        "table: patient\nexpectations:\n  - {expect: expect_column_to_exist, severity: shout, reason: x}\n"
    )
    with pytest.raises(SchemaError, match=r"expectations\[0\]\.severity: 'shout' is not one of warn, quar"):
        read_suite(file)


@pytest.mark.parametrize(
    ("expectation", "problem"),
    [
        (
            "expect: expect_column_values_to_be_unique, with: {column: id}",
            r"severity: .*does not judge single",
        ),
        ("expect: expect_table_row_count_to_be_between, with: {min_value: 1}", r"severity: .*does not judge"),
        (
            "expect: expect_column_values_to_not_be_null, with: {column: id, mostly: 0.9}",
            r"with.mostly: is not for quarantine, which takes column",
        ),
    ],
)
def test_only_what_judges_single_rows_sets_them_aside(tmp_path: Path, expectation: str, problem: str) -> None:
    file = tmp_path / "patient.yaml"
    file.write_text(
        f"table: patient\nexpectations:\n  - {{{expectation}, severity: quarantine, reason: x}}\n"
    )
    with pytest.raises(SchemaError, match=rf"patient\.yaml: expectations\[0\]\.{problem}"):
        read_suite(file)
