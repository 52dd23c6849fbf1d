from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
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

FUNCTIONS = function_names()

# What Lambda's Python runtime brings besides the standard library.
RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "urllib3", "six", "jmespath")

_IMPORT_ALONE = """
import importlib, sys
package, runtime, handler, *foreign = sys.argv[1:]
sys.path.insert(0, package)
sys.path.append(runtime)
assert callable(importlib.import_module(handler).handler), handler
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
outside = sorted(name for name, file in files.items() if file.startswith(tuple(foreign)))
assert not outside, f"imported from outside the package: {outside[:5]}"
"""


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules of Lambda's runtime and no others."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


def test_there_is_a_function_for_each_folder() -> None:
    assert FUNCTIONS == [
        "find_fhir_changes",
        "keep_roster",
        "land_export",
        "land_fhir_changes",
        "land_item_changes",
        "land_parked_changes",
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
    task, handler = tmp_path / "task", f"lambdas.{name}.handler"
    foreign = [str(REPOSITORY / folder) for folder in ("lambdas", "schemas", ".venv")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _IMPORT_ALONE, str(task), str(runtime), handler, *foreign],
        cwd=tmp_path,
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


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
