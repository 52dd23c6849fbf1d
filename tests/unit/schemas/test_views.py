"""Every view file: the shareable profile of SQL on FHIR, names that are unique, keys that join what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from glue_jobs.sql_on_fhir import compile_views
from schemas.declaration import snake_case
from schemas.fhir import element_model
from schemas.view import KEY_COLUMN, View, ViewColumn, load_views, read_view

VIEWS = load_views()
RESOURCES = {
    *(
        "Patient",
        "Encounter",
        "Condition",
        "Observation",
        "Procedure",
        "MedicationRequest",
        "MedicationStatement",
    ),
    *(
        "MedicationAdministration",
        "MedicationDispense",
        "Immunization",
        "AllergyIntolerance",
        "DiagnosticReport",
    ),
    *("DocumentReference", "CarePlan", "CareTeam", "Goal", "Device", "ServiceRequest", "Coverage", "Claim"),
    *("ExplanationOfBenefit", "Practitioner", "PractitionerRole", "Organization", "Location"),
    *("QuestionnaireResponse", "Specimen", "ImagingStudy", "Medication"),
}
_JOINS = re.compile(r": joins ([a-z_]+)\.resource_key$")
each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))


def _joined(column: ViewColumn) -> str | None:
    found = _JOINS.search(column.description)
    return found[1] if found else None


def test_every_resource_type_that_analysts_use_has_a_table_of_its_own() -> None:
    assert {view.resource for view in VIEWS.values()} == RESOURCES
    assert {snake_case(resource) for resource in RESOURCES} <= set(VIEWS)


@each_view
def test_a_view_is_shareable(view: View) -> None:
    definition = view.definition
    assert definition["resourceType"] == "ViewDefinition"
    assert definition["url"] == f"urn:watershed:ViewDefinition:{view.name}"
    assert definition["status"] == "active"
    assert definition["fhirVersion"] == ["4.0.1"]
    assert definition["title"]
    assert view.description.endswith(".")
    for column in view.columns:
        assert column.type in element_model().types, column.name
        assert column.description, column.name


@each_view
def test_a_view_gives_the_columns_it_declares_with_the_types_it_declares(view: View) -> None:
    compiled = compile_views([view.definition]).views[view.name]
    assert [each.name for each in compiled.outputs] == [each.name for each in view.columns]
    for output, column in zip(compiled.outputs, view.columns, strict=True):
        assert (output.fhir_type, output.collection) == (column.type, False), column.name


@each_view
def test_names_are_unique_snake_case_and_the_key_comes_first(view: View) -> None:
    names = [column.name for column in view.columns]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names)
    assert names[0] == KEY_COLUMN
    assert view.columns[0].path == "getResourceKey()"


@each_view
def test_every_key_column_joins_the_table_it_names(view: View) -> None:
    for column in view.columns:
        is_key = column.name.endswith("_key") and column.name != KEY_COLUMN
        assert is_key == (column.references is not None or column.name == "patient_key"), column.name
        if is_key:
            table = _joined(column)
            assert table in VIEWS, f"{column.name} joins {table}"
            # A part of a patient has the patient's own key.
            assert VIEWS[table].resource == (column.references or view.resource), column.name


@each_view
def test_a_table_of_parts_joins_the_table_of_the_whole(view: View) -> None:
    """Exactly the views without an id are parts; their rows have the key of the resource they belong to."""
    has_id = any(column.name == "id" for column in view.columns)
    whole = _joined(view.columns[0])
    assert has_id == (whole is None) == (snake_case(view.resource) == view.name)
    if whole is not None:
        assert VIEWS[whole].resource == view.resource


@each_view
def test_codings_keep_system_code_and_display(view: View) -> None:
    names = {column.name for column in view.columns}
    for column in view.columns:
        if column.name.endswith("_display"):
            stem = column.name.removesuffix("_display")
            assert {f"{stem}_system", f"{stem}_code"} & names or stem in names, column.name
            assert f"{stem}_code" in names or stem in names, column.name


@each_view
def test_a_code_of_a_coding_has_its_system_and_display_beside_it(view: View) -> None:
    """But for statuses, whose codes are FHIR's own and speak for themselves."""
    paths = {column.path for column in view.columns}
    for column in view.columns:
        coding, _, part = column.path.rpartition(".")
        if coding.endswith("coding.first()") and part == "code" and not column.name.endswith("_status"):
            assert {f"{coding}.system", f"{coding}.display"} <= paths, column.name


def spark_types(view: View) -> dict[str, str]:
    """The Spark type of each column."""
    return {each.name: each.spark_type for each in compile_views([view.definition]).views[view.name].outputs}


@each_view
def test_what_is_typed_keeps_its_precision_beside_it(view: View) -> None:
    """A dateTime that is read as a day or a moment loses what does not fit: the text stays beside it."""
    kinds = spark_types(view)
    texts = {column.path for column in view.columns if kinds[column.name] == "STRING"}
    for column in view.columns:
        if column.type in ("date", "dateTime") and kinds[column.name] in ("DATE", "TIMESTAMP"):
            assert column.path in texts, column.name


@each_view
def test_a_moment_whose_day_alone_is_known_keeps_the_day(view: View) -> None:
    """`2026-03-01` is no moment: a dateTime that is read as one is read as a day beside it."""
    kinds = spark_types(view)
    days = {column.path for column in view.columns if kinds[column.name] == "DATE"}
    for column in view.columns:
        if column.type == "dateTime" and kinds[column.name] == "TIMESTAMP":
            assert column.path in days, column.name


def test_columns_are_listed_through_nested_selects_and_once_per_union(tmp_path: Path) -> None:
    def column(name: str) -> dict[str, object]:
        return {"name": name, "path": "id"}

    file = tmp_path / "goal.json"
    branch = {"column": [column("c")]}
    select = [
        {"column": [{"name": KEY_COLUMN, "path": "getResourceKey()"}]},
        {
            "column": [{**column("a"), "tag": [{"name": "watershed/phi", "value": "true"}]}],
            "select": [{"column": [column("b")]}],
            "unionAll": [branch, branch],
        },
    ]
    definition = {"name": "goal", "resource": "Goal", "description": "Goals.", "select": select}
    file.write_text(json.dumps(definition))
    columns = read_view(file).columns
    assert [each.name for each in columns] == [KEY_COLUMN, "a", "b", "c"]
    assert [each.name for each in columns if each.phi] == ["a"]
