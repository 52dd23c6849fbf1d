"""Lint, types and every test, with a time for each: what ``make test`` and CI run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# Left alone, xdist starts the files of many tests first, and the long stories, one test each, come last.
PYTEST = ("-q", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "15")

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lint", (str(BIN / "ruff"), "check", ".")),
    ("format", (str(BIN / "ruff"), "format", "--check", ".")),
    ("types", (str(BIN / "mypy"),)),
    ("tests", (str(BIN / "pytest"), *PYTEST)),
)


def main(arguments: list[str]) -> int:
    """Run the steps until one fails; further arguments go to pytest."""
    failed = 0
    for name, command in STEPS:
        extra = tuple(arguments) if name == "tests" else ()
        print(f"== {name}: {' '.join((Path(command[0]).name, *command[1:], *extra))}", flush=True)
        started = time.monotonic()
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        failed = subprocess.run([*command, *extra], cwd=ROOT, env=environment, check=False).returncode
        print(f"== {name}: {'failed' if failed else 'ok'} in {time.monotonic() - started:.0f} s", flush=True)
        if failed:
            break
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
