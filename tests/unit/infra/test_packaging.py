from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.packaging import (
    REPOSITORY,
    PackagingError,
    fingerprint,
    function_names,
    job_modules,
    job_script,
    package_function,
    package_jobs,
    zip_folder,
)
from infra.workflow import JOBS
from tests.unit.infra.runtimes import GLUE, LAMBDA, probe, runtime_folder, with_requirements

FUNCTIONS = function_names()


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules of Lambda's runtime and no others."""
    return runtime_folder(tmp_path_factory.mktemp("lambda"), LAMBDA)


@pytest.fixture(scope="session")
def glue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules that the jobs find on Glue: its own, and those that they ask to be installed."""
    asked = [module.partition("==")[0] for module in job_modules().split(",")]
    return runtime_folder(tmp_path_factory.mktemp("glue"), {*GLUE, *with_requirements(asked)})


@pytest.fixture(scope="session")
def job_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in the jobs' zip."""
    folder = tmp_path_factory.mktemp("jobs")
    with zipfile.ZipFile(package_jobs(folder / "build")) as reader:
        reader.extractall(folder / "code")
    return folder / "code"


def test_there_is_a_function_for_each_folder() -> None:
    assert FUNCTIONS == [
        "find_fhir_changes",
        "keep_roster",
        "land_export",
        "land_fhir_changes",
        "land_item_changes",
        "land_parked_changes",
        "list_quarantine",
        "list_tables",
        "note_fhir_changes",
        "partition_item_changes",
        "poll_export",
        "publish_resources",
        "record_patient_activity",
        "shape_item_change",
        "shape_token",
        "socket_publish",
        "start_export",
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_imports_with_its_zip_and_the_runtime_alone(
    name: str, tmp_path: Path, runtime: Path
) -> None:
    archive = tmp_path / "function.zip"
    zip_folder(package_function(name, tmp_path / "build"), archive)
    with zipfile.ZipFile(archive) as reader:
        reader.extractall(tmp_path / "task")
    assert probe(tmp_path / "task", runtime, f"lambdas.{name}.handler", "handler") == ""


def test_a_function_whose_zip_lacks_a_dependency_is_found_out(tmp_path: Path, runtime: Path) -> None:
    folder = package_function("land_item_changes", tmp_path)
    shutil.rmtree(folder / "aws_lambda_powertools")
    assert "aws_lambda_powertools" in probe(folder, runtime, "lambdas.land_item_changes.handler", "handler")


def test_a_dependency_that_is_imported_late_is_found_out_as_well(tmp_path: Path, runtime: Path) -> None:
    folder = package_function("land_item_changes", tmp_path)
    module = folder / "lambdas" / "shared" / "hive.py"
    module.write_text(module.read_text() + "\n\ndef late() -> None:\n    import pandas\n")
    problem = probe(folder, runtime, "lambdas.land_item_changes.handler", "handler")
    assert "neither it nor the runtime has: ['pandas']" in problem


@pytest.mark.parametrize("name", JOBS)
def test_a_job_imports_with_its_zip_and_glue_alone(name: str, job_code: Path, glue: Path) -> None:
    assert probe(job_code, glue, f"glue_jobs.{name.replace('-', '_')}", "main") == ""


def test_a_job_that_needs_more_than_it_asks_glue_for_is_found_out(tmp_path: Path, job_code: Path) -> None:
    without = runtime_folder(tmp_path, {*GLUE, *with_requirements(["PyYAML"])})
    problem = probe(job_code, without, "glue_jobs.conform_items", "main")
    assert "neither it nor the runtime has: ['great_expectations']" in problem


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_carries_no_other_and_nothing_heavy(name: str, tmp_path: Path) -> None:
    folder = package_function(name, tmp_path)
    files = [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()]
    assert {file.parts[1] for file in files if file.parts[0] == "lambdas"} == {"__init__.py", "shared", name}
    assert not [file for file in files if file.suffix in (".pyc", ".so") or "__pycache__" in file.parts]
    assert not [file for file in files if file.parts[:2] == ("schemas", "fhir")]
    assert sum((folder / file).stat().st_size for file in files) < 6_000_000


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    digests = set()
    for attempt in ("a", "b"):
        archive = tmp_path / f"{attempt}.zip"
        zip_folder(package_function("land_item_changes", tmp_path / attempt), archive)
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_change_of_one_byte_changes_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = fingerprint([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("compiled")
    assert fingerprint([tmp_path]) == before
    (tmp_path / "a.py").write_text("2")
    assert fingerprint([tmp_path]) != before


def test_the_jobs_bring_their_modules_and_declarations(tmp_path: Path) -> None:
    with zipfile.ZipFile(package_jobs(tmp_path)) as reader:
        names = reader.namelist()
    assert "glue_jobs/__init__.py" in names
    assert "schemas/items/site_activity.yaml" in names
    assert any(name.startswith("schemas/fhir/") for name in names)
    assert names == sorted(names)
    assert all("==" in module for module in job_modules().split(","))


def test_a_job_reads_its_declarations_out_of_the_zip(tmp_path: Path) -> None:
    """On Glue the zip is on the path as it is, and the repository is nowhere."""
    repository = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "schemas", repository / "schemas")
    (repository / "glue_jobs").mkdir()
    (repository / "glue_jobs" / "__init__.py").touch()
    (repository / "glue_jobs" / "probe.py").write_text(
        "import json\n"
        "import schemas\n"
        "def main(argv):\n"
        "    print(json.dumps([argv, sorted(schemas.load_item_types()), schemas.__file__]))\n"
    )
    archive = package_jobs(tmp_path / "build", repository)
    script = job_script("probe", tmp_path / "build", repository)
    done = subprocess.run(
        [sys.executable, str(script), "--full", "true"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(archive), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    argv, item_types, origin = json.loads(done.stdout)
    assert argv == ["--full", "true"]
    assert {"Address", "Patient", "SiteActivity"} <= set(item_types)
    assert origin.startswith(f"{tmp_path}{os.sep}watershed-")


@pytest.mark.parametrize("name", JOBS)
def test_every_job_of_the_workflow_has_a_script(name: str, tmp_path: Path) -> None:
    script = job_script(name, tmp_path).read_text()
    assert f"from glue_jobs.{name.replace('-', '_')} import main" in script
    compile(script, name, "exec")


def test_a_job_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="no-such"):
        job_script("no-such", tmp_path)


def test_a_function_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="no_such"):
        package_function("no_such", tmp_path)
