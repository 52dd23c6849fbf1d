"""The curated declarations are read together, and an error names the file and the field."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from glue_jobs.curation.declarations import load_declarations, model_fingerprint, view_fingerprint
from glue_jobs.curation.state import Consumed, TableState
from schemas import SCHEMAS_DIR, SchemaError

Edit = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("views", "models", "expectations", "items"):
        shutil.copytree(SCHEMAS_DIR / name, tmp_path / name)
    shutil.copy(SCHEMAS_DIR / "layouts.yaml", tmp_path)
    return tmp_path


def _replace(file: str, old: str, new: str) -> Edit:
    def edit(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return edit


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            _replace("layouts.yaml", "curated.procedure:", "curated.procedures:"),
            r"layouts.yaml: tables.curated.procedures: 'procedures' is neither a view nor a model",
        ),
        (
            _replace("layouts.yaml", "[site_id, activity_date]", "[site_id, day]"),
            r"layouts.yaml: tables.curated.site_activity_daily: site_activity_daily has no column 'day'",
        ),
        (
            _replace("layouts.yaml", "ops.run: {keep_days: 30}", "run: {keep_days: 30}"),
            r"layouts.yaml: tables.run: must be <zone>.<table>",
        ),
        (
            _replace("layouts.yaml", "keep_days: 7", "keep_days: 0"),
            r"layouts.yaml: default.keep_days: must be a whole number, 1 at least",
        ),
        (
            lambda folder: (folder / "expectations/patient.yaml").unlink(),
            r"views/patient.json: has no expectation",
        ),
        (
            lambda folder: (folder / "views/claim.json").unlink(),
            r"claim.yaml: table: 'claim' is neither",
        ),
        (
            lambda folder: (folder / "models/patient_profile.sql").unlink(),
            r"patient_profile.sql: no such file",
        ),
        (
            _replace("models/patient_profile.yaml", "conformed.address", "conformed.adress"),
            r"depends_on.address.table: conformed.adress is not declared; declared are address, patient",
        ),
        (
            _replace(
                "models/patient_profile.yaml", "curated.patient\n", "curated.encounter_site_activitys\n"
            ),
            r"depends_on.patient.table: curated.encounter_site_activitys is not declared",
        ),
        (
            _replace(
                "expectations/patient_profile.yaml",
                "with: {column: patient_key}\n    reason: every",
                "with: {column: patient_key}\n    severity: quarantine\n    reason: every",
            ),
            r"patient_profile.yaml: expectations\[0\].severity: .* without its key",
        ),
        (
            _replace("expectations/patient_profile.yaml", "values_to_be_unique", "values_to_not_be_null"),
            r"expectations: must expect with expect_column_values_to_be_unique that the key \(patient_key\)"
            r" is unique \(line 3\)",
        ),
        (
            _replace("expectations/site_activity_daily.yaml", "[site_id, activity_date]", "[site_id]"),
            r"must expect with expect_compound_columns_to_be_unique that the key \(site_id, activity_date\)",
        ),
    ],
)
def test_a_wrong_declaration_is_named(folder: Path, edit: Edit, problem: str) -> None:
    load_declarations(folder)
    edit(folder)
    with pytest.raises(SchemaError, match=problem):
        load_declarations(folder)


@pytest.mark.parametrize(
    ("edit", "rebuilds"),
    [
        (_replace("views/patient.json", "Administrative gender", "Gender"), set()),
        (_replace("views/patient.json", '"gender", "path": "gender"', '"gender", "path": "id"'), {"patient"}),
        (
            _replace("models/patient_profile.sql", "is_deceased,", "not is_deceased as is_deceased,"),
            {"patient_profile"},
        ),
        (_replace("models/patient_profile.yaml", "Family name", "Surname"), set()),
        (_replace("expectations/encounter.yaml", "severity: quarantine", "severity: halt"), {"encounter"}),
        (_replace("expectations/encounter.yaml", "severity: warn", "severity: halt"), set()),
    ],
)
def test_only_what_decides_rows_rebuilds_a_table(folder: Path, edit: Edit, rebuilds: set[str]) -> None:
    def fingerprints() -> dict[str, str]:
        declared = load_declarations(folder)
        views = {name: view_fingerprint(view, declared.suites[name]) for name, view in declared.views.items()}
        models = {
            name: model_fingerprint(model, declared.suites[name]) for name, model in declared.models.items()
        }
        return {**views, **models}

    before = fingerprints()
    edit(folder)
    after = fingerprints()
    assert {name for name in before if before[name] != after[name]} == rebuilds


def test_the_order_of_keys_in_a_view_does_not_matter(folder: Path) -> None:
    declared = load_declarations(folder)
    before = view_fingerprint(declared.views["patient"], declared.suites["patient"])
    file = folder / "views/patient.json"
    file.write_text(json.dumps(dict(reversed(json.loads(file.read_text()).items()))))
    declared = load_declarations(folder)
    assert view_fingerprint(declared.views["patient"], declared.suites["patient"]) == before


def test_a_state_survives_as_snapshot_properties() -> None:
    state = TableState("d", {"conformed.patient": Consumed(5, "r"), "curated.patient": Consumed()})
    found = state.properties("run")
    assert found["watershed.run_id"] == "run"
    assert found["watershed.input.conformed.patient"] == "5/r"
    assert found["watershed.input.curated.patient"] == "/"
