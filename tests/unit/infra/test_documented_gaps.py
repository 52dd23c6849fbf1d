"""Every patch of the emulator is one gap: documented, and held to AWS's contract by a test."""

from __future__ import annotations

import re
from pathlib import Path

from infra.packaging import REPOSITORY
from local.emulator.patches import ALL

_TESTS = {
    # These are seen through something larger: the API's run records, and the stack with its roles enforced.
    "glue_crawler": "test_glue_runs.py",
    "glue_job_run": "test_glue_runs.py",
    "glue_workflow_run": "test_glue_runs.py",
    "iam_loopback_transport": "test_deploy.py",
}


def test_each_patch_is_applied_documented_and_tested() -> None:
    folder = REPOSITORY / "local" / "emulator" / "patches"
    names = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    assert {Path(str(patch.__file__)).stem for patch in ALL} == names
    documented = re.findall(r"^\| `(\w+)` \|", (REPOSITORY / "docs" / "local.md").read_text(), re.MULTILINE)
    assert set(documented) == names
    for name in names:
        test = REPOSITORY / "tests" / "e2e" / "emulator" / _TESTS.get(name, f"test_{name}.py")
        assert test.is_file(), f"{name} has no contract test"
