"""What the twin shows is declared for every column there is, and a declaration that is wrong is refused by name."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glue_jobs.curation.declarations import load_declarations
from glue_jobs.deid.expressions import Rules, expression, pads, secret_check, selection
from glue_jobs.deid.secret import SecretUnusable, read_secret
from glue_jobs.deid.suite import twin_suite
from glue_jobs.deid.zip_areas import CENSUS_2000, CENSUS_2010, CENSUS_2020, SPARSE
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.errors import ArgumentError
from local.glue.job import LocalJob
from local.glue.twin_secret import with_local_secret
from schemas import SCHEMAS_DIR, SchemaError
from schemas.deid_table import check_deid_tables, load_deid_tables, read_deid_table, undeclared
from schemas.model import Model, load_models
from schemas.view import View, load_views

TABLES: list[View | Model] = [*load_views().values(), *load_models().values()]
DEID = load_deid_tables()
SHIFT, YEAR = Rules("shift", 2026), Rules("year", 2026)


def test_every_column_of_every_curated_table_is_judged() -> None:
    assert [str(each) for each in undeclared(DEID, TABLES)] == []


def test_what_identifies_a_patient_by_itself_is_never_kept() -> None:
    for table in TABLES:
        for column in table.columns:
            if column.phi:
                assert DEID[table.name].treatments.get(column.name) != "keep", f"{table.name}.{column.name}"


def test_keys_that_join_are_hashed_and_no_date_is_kept() -> None:
    for view in load_views().values():
        treatments = DEID[view.name].treatments
        for column in view.columns:
            if column.references or column.name == "resource_key":
                assert treatments[column.name] == "key", f"{view.name}.{column.name}"
            if column.type in ("date", "dateTime", "instant"):
                assert treatments.get(column.name) in (None, "date"), f"{view.name}.{column.name}"


def test_a_column_without_a_treatment_is_named_with_its_file() -> None:
    treatments = {name: each for name, each in DEID["patient"].treatments.items() if name != "gender"}
    judged = {**DEID, "patient": replace(DEID["patient"], treatments=treatments)}
    del judged["coverage"]
    messages = sorted(str(each).removeprefix(f"{SCHEMAS_DIR}/") for each in undeclared(judged, TABLES))
    assert messages == [
        "deid/coverage.yaml: no such file, so coverage has no de-identified twin",
        "deid/patient.yaml: gender: has no treatment, so the de-identified twin lacks it",
    ]


Edit = Callable[[str], str]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text.replace("gender", "sex"), "sex: patient has no such column"),
        (lambda text: text.replace("subject: resource_key\n", ""), "subject: is missing"),
        (
            lambda text: text.replace("[family_name,", "[gender, family_name,"),
            "'gender' has a treatment already",
        ),
        (lambda text: text.replace("keep: [", "hide: ["), "hide: unknown field"),
        (lambda text: text.replace("  names:", "  private:"), "drop.private: unknown field"),
        (lambda text: text.replace("postal_code: country", "postal_code: land"), "land: patient has no such"),
        (
            lambda text: text.replace("table: patient", "table: person"),
            "table: 'person' must be the file's name",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_by_file_and_field(tmp_path: Path, edit: Edit, message: str) -> None:
    file = tmp_path / "patient.yaml"
    file.write_text(edit((SCHEMAS_DIR / "deid" / "patient.yaml").read_text()))
    with pytest.raises(SchemaError, match=message) as refusal:
        check_deid_tables({"patient": read_deid_table(file)}, TABLES)
    assert refusal.value.file == file


def test_a_declaration_of_a_table_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    for name in ("views", "models", "expectations", "items", "deid"):
        shutil.copytree(SCHEMAS_DIR / name, tmp_path / name)
    (tmp_path / "deid" / "person.yaml").write_text("table: person\nkeep: [id]\n")
    with pytest.raises(SchemaError, match=r"person\.yaml: table: 'person' is neither a view nor a model"):
        load_declarations(tmp_path)


@pytest.mark.parametrize("secret", [b"x" * 40, b"y" * 64, b"z" * 100])
def test_the_pads_are_those_of_hmac(secret: bytes) -> None:
    inner, outer = pads(secret)
    message = b"key:p1"
    nested = hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).hexdigest()
    assert nested == hmac.new(secret, message, hashlib.sha256).hexdigest()
    assert secret_check(secret) != secret_check(secret + b"!")


def test_the_sql_names_only_columns_that_are_shown_and_never_a_secret() -> None:
    types = {column.name: "string" for column in load_views()["patient"].columns} | {"birth_date": "date"}
    for rules in (SHIFT, YEAR):
        made = "\n".join(selection(DEID["patient"], types, rules))
        assert not [name for name in DEID["patient"].dropped if f"`{name}`" in made]
    assert expression(DEID["patient"], "gender", "string", SHIFT) == "`gender`"
    assert "make_date(1936, 1, 1)" in expression(DEID["patient"], "birth_date", "date", SHIFT)


def test_the_twin_is_audited_for_what_it_must_not_show() -> None:
    types = {"resource_key": "string", "birth_date": "date", "postal_code": "string", "gender": "string"}
    suite = twin_suite(DEID["patient"], types, SHIFT)
    assert suite.table == "curated_deid.patient"
    assert {each.arguments["column"] for each in suite.expectations} == {
        "resource_key",
        "birth_date",
        "postal_code",
    }
    assert {each.severity for each in suite.expectations} == {"halt"}


def test_sparse_areas() -> None:
    assert (len(CENSUS_2000), len(CENSUS_2010), len(CENSUS_2020), len(SPARSE)) == (17, 14, 18, 23)
    assert CENSUS_2010 < CENSUS_2020
    assert all(len(each) == 3 and each.isdigit() for each in SPARSE)


def _job(*more: str) -> list[str]:
    return ["--landing_uri", "s3://landing/", *more]


def test_arguments_of_the_twin() -> None:
    asked = JobArguments.parse(_job("--deid", "year", "--deid_secret", "file:///s"))
    assert (asked.deid, asked.deid_secret) == ("year", "file:///s")
    assert JobArguments.parse(_job()).deid is None
    with pytest.raises(ArgumentError, match="--deid is 'month'"):
        JobArguments.parse(_job("--deid", "month", "--deid_secret", "file:///s"))
    with pytest.raises(ArgumentError, match="--deid_secret"):
        JobArguments.parse(_job("--deid", "shift"))


class _Vault:
    def get_secret_value(self, **asked: str) -> dict[str, Any]:
        return {"SecretString": f"{'s' * 40} of {asked['SecretId']}"}


def test_the_secret_is_read_from_a_file_or_the_vault_and_no_error_tells_it(tmp_path: Path) -> None:
    file = tmp_path / "a secret"
    file.write_text("k" * 40 + "\n")
    assert read_secret(file.as_uri()) == b"k" * 40
    assert read_secret("arn:aws:secretsmanager:x", _Vault()).endswith(b"of arn:aws:secretsmanager:x")
    file.write_text("short one")
    with pytest.raises(SecretUnusable, match="shorter than 32") as refusal:
        read_secret(file.as_uri())
    assert "short one" not in str(refusal.value)
    with pytest.raises(SecretUnusable, match="FileNotFoundError"):
        read_secret((tmp_path / "none").as_uri())


def test_on_this_machine_the_secret_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    argv = ("--deid", "shift", "--deid_secret", "arn:aws:secretsmanager:x", "--full", "true")
    job = LocalJob("curate", "glue_jobs.curate", argv, "landing", "lake", "s3://lake/", (), (), 60)
    file = tmp_path / "state" / "twin-secret"
    told = with_local_secret(job, file)
    assert told.argv == ("--deid", "shift", "--deid_secret", file.as_uri(), "--full", "true")
    made = file.read_text()
    assert len(made) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert with_local_secret(job, file) == told
    assert file.read_text() == made
    without = replace(job, argv=("--full", "true"))
    assert with_local_secret(without, tmp_path / "other") == without
