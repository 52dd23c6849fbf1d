"""What goes into a function's zip and into the jobs' modules: chosen files, copied into folders of their own.

The same inputs give the same bytes, so that a deployment without a change of code uploads and updates
nothing.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

VENDORED = ("aws_lambda_powertools", "jmespath", "typing_extensions", "yaml")
"""Dependencies of the functions, all pure Python, so that they run on any architecture. boto3 is the
runtime's."""

_FUNCTION_SCHEMAS = ("items", "raw")
"""The declarations that functions read. The others are large, and a cold start pays for every byte."""

_JOB_MODULES = ("great-expectations", "PyYAML")
"""What the jobs import that Glue 5.1 does not bring; pinned to what the tests ran with."""

_EXCLUDED_FOLDERS = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "node_modules"}
_EXCLUDED_SUFFIXES = {".pyc", ".pyo", ".so", ".pyd", ".dylib"}
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


class PackagingError(RuntimeError):
    """Raised when something that belongs into a package is not there; the message names it."""


def function_names(repository: Path = REPOSITORY) -> list[str]:
    """The folders of `lambdas/` that hold a function."""
    return sorted(handler.parent.name for handler in (repository / "lambdas").glob("*/handler.py"))


def package_function(name: str, target: Path, repository: Path = REPOSITORY) -> Path:
    """Fill `target / name` with the files of function `name`, as they lie in its zip, and return that folder.

    Raises
    ------
    PackagingError : there is no such function, or a dependency is not installed
    """
    source = repository / "lambdas" / name
    if not (source / "handler.py").exists():
        raise PackagingError(f"Function {name!r} has no {source / 'handler.py'}")
    folder = target / name
    shutil.rmtree(folder, ignore_errors=True)
    _copy(repository / "lambdas" / "__init__.py", folder / "lambdas" / "__init__.py")
    for part in ("shared", name):
        _copy(repository / "lambdas" / part, folder / "lambdas" / part)
    for module in sorted((repository / "schemas").glob("*.py")):
        _copy(module, folder / "schemas" / module.name)
    for part in _FUNCTION_SCHEMAS:
        _copy(repository / "schemas" / part, folder / "schemas" / part)
    for module_name in VENDORED:
        location = _installed(module_name)
        _copy(location, folder / location.name)
    return folder


def package_jobs(target: Path, repository: Path = REPOSITORY) -> Path:
    """Write the zip of `glue_jobs` and `schemas` for `--extra-py-files` into `target`, and return its
    path."""
    archive = target / "glue_modules.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    write_zip(
        archive,
        (
            (file, str(file.relative_to(repository)))
            for package in ("glue_jobs", "schemas")
            for file in _files(repository / package)
        ),
    )
    return archive


_JOB_SCRIPT = '''"""Starts glue_jobs.{module} of Watershed."""

import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

(package,) = find_spec("glue_jobs").submodule_search_locations
archive = Path(package).parent
if archive.is_file():
    # Spark puts the zip itself on the path, and the declarations in it could not be read as files.
    folder = tempfile.mkdtemp(prefix="watershed-")
    with zipfile.ZipFile(archive) as reader:
        reader.extractall(folder)
    sys.path.insert(0, folder)

from glue_jobs.{module} import main

main(sys.argv[1:])
'''


def job_script(name: str, target: Path, repository: Path = REPOSITORY) -> Path:
    """Write the script that Glue starts for job `name`, such as `conform-items`, and return its path.

    Raises
    ------
    PackagingError : `glue_jobs/` has no such job
    """
    module = name.replace("-", "_")
    if not (repository / "glue_jobs" / f"{module}.py").exists():
        raise PackagingError(f"Job {name!r} has no glue_jobs/{module}.py")
    script = target / f"{module}.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_JOB_SCRIPT.format(module=module))
    return script


def write_zip(archive: Path, entries: Iterable[tuple[Path, str]]) -> None:
    """Zip files under the given names, with nothing in it that depends on when or where."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as writer:
        for file, name in sorted(entries, key=lambda entry: entry[1]):
            information = zipfile.ZipInfo(name, _ZIP_EPOCH)
            information.compress_type = zipfile.ZIP_DEFLATED
            information.external_attr = 0o644 << 16
            writer.writestr(information, file.read_bytes())


def zip_folder(folder: Path, archive: Path) -> None:
    """Zip a whole folder, the same bytes for the same files."""
    write_zip(archive, ((file, str(file.relative_to(folder))) for file in _files(folder)))


def job_modules() -> str:
    """The value of `--additional-python-modules`: `name==version,...`."""
    return ",".join(f"{name}=={importlib.metadata.version(name)}" for name in _JOB_MODULES)


def fingerprint(folders: Iterable[Path]) -> str:
    """A hash over the names and contents of all files that packages are made of."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in _files(folder):
            digest.update(f"{folder.name}/{file.relative_to(folder)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    for name in ("aws-cdk-lib", "aws-lambda-powertools", "jmespath", "typing_extensions", "PyYAML"):
        digest.update(f"{name}=={importlib.metadata.version(name)}\0".encode())
    digest.update(job_modules().encode())
    return digest.hexdigest()


def _installed(module_name: str) -> Path:
    spec = find_spec(module_name)
    if spec is None or spec.origin is None:
        raise PackagingError(f"{module_name} is not installed; run: make setup")
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _copy(source: Path, target: Path) -> None:
    for file in _files(source):
        destination = target / file.relative_to(source) if source.is_dir() else target
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, destination)


def _files(source: Path) -> Iterator[Path]:
    """The files under `source` that belong into a package, by name."""
    if source.is_file():
        yield source
        return
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        if (
            file.is_file()
            and not _EXCLUDED_FOLDERS.intersection(inside.parts)
            and file.suffix not in _EXCLUDED_SUFFIXES
        ):
            yield file
