"""What a package finds beside itself where it runs, and a probe that imports from it and from nothing else."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from infra.packaging import REPOSITORY

LAMBDA = ("boto3", "botocore", "s3transfer", "python-dateutil", "urllib3", "six", "jmespath")
"""Distributions that Lambda's Python runtime brings."""

GLUE = (*LAMBDA, "pyspark", "py4j")
"""Of those that Glue 5.1 brings, the ones that the jobs need:
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python-libraries.html"""

_PROBE = """
import ast, importlib, sys
from importlib.util import find_spec
from pathlib import Path

package, runtime, entry, name, *foreign = sys.argv[1:]
sys.path.insert(0, package)
sys.path.append(runtime)
assert callable(getattr(importlib.import_module(entry), name)), entry

def imported(node):
    '''Names of all imports, those inside functions too, but for those that are for type checkers only.'''
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level:
            yield child.module
        else:
            yield from imported(child)

own = {"lambdas", "schemas", "glue_jobs"}
wanted = {
    module if module.partition(".")[0] in own else module.partition(".")[0]
    for folder in own
    for file in Path(package, folder).rglob("*.py")
    for module in imported(ast.parse(file.read_text()))
}
def is_there(module):
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False

missing = sorted(module for module in wanted if not is_there(module))
assert not missing, f"the package imports what neither it nor the runtime has: {missing}"
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
outside = sorted(name for name, file in files.items() if file.startswith(tuple(foreign)))
assert not outside, f"imported from outside the package: {outside[:5]}"
"""


def probe(package: Path, runtime: Path, entry: str, name: str) -> str:
    """Import `entry`, resolve every import of the package's modules, and return what went wrong, if anything.

    `package` is a folder or a zip's contents; nothing but it, `runtime` and the standard library is on the
    path.
    """
    foreign = [str(REPOSITORY / folder) for folder in ("lambdas", "schemas", "glue_jobs", ".venv")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROBE, str(package), str(runtime), entry, name, *foreign],
        cwd=package,
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr


def with_requirements(distributions: Iterable[str]) -> set[str]:
    """The distributions and all that installing them installs."""
    found: set[str] = set()
    waiting = list(distributions)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found.add(name)
        requirements = map(Requirement, importlib.metadata.requires(name) or ())
        waiting += [
            each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})
        ]
    return found


def runtime_folder(folder: Path, distributions: Iterable[str]) -> Path:
    """Fill `folder` with links to the modules of the distributions and no others."""
    folder.mkdir(parents=True, exist_ok=True)
    for distribution in distributions:
        for entry in _top_level(distribution):
            link = folder / entry.name
            if not link.exists():
                link.symlink_to(entry)
    return folder


def _top_level(distribution: str) -> Iterator[Path]:
    found = importlib.metadata.distribution(distribution)
    names = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
    for name in sorted(names):
        yield Path(str(found.locate_file(name)))
