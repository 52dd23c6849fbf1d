"""The folders are the architecture: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "schemas": set(),
    "lambdas": {"schemas"},
    "crawlers": {"schemas"},
    "glue_jobs": {"schemas"},
    "infra": {"schemas", "crawlers"},
    "local": {"schemas", "lambdas", "crawlers", "glue_jobs", "infra"},
}
NEVER_IN_FUNCTIONS = {"pandas", "pyspark", "pydantic", "numpy", "pyarrow", "awsglue"}


def _imports(folder: str) -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import; write the whole path"
                names = [node.module or ""]
            for name in names:
                yield str(file.relative_to(ROOT)), name.partition(".")[0]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    forbidden = (MAY_IMPORT.keys() | {"tests", "benchmarks", "scripts"}) - MAY_IMPORT[folder] - {folder}
    assert [each for each in _imports(folder) if each[1] in forbidden] == []


def test_functions_stay_small_and_jobs_do_not_need_glue() -> None:
    assert [each for each in _imports("lambdas") if each[1] in NEVER_IN_FUNCTIONS] == []
    assert [each for each in _imports("glue_jobs") if each[1] == "awsglue"] == []


@pytest.mark.parametrize("folder", [*MAY_IMPORT, "console", "tests", "benchmarks", "docs"])
def test_every_folder_says_what_lives_there(folder: str) -> None:
    readme = ROOT / folder / "README.md"
    assert readme.is_file(), f"{folder}/ needs a README.md of one paragraph"
    assert len(readme.read_text(encoding="utf-8")) > 100
