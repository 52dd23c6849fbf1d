"""The settings file of a deployment on AWS: YAML, one line a setting, with the names of `Settings`.

`infra/settings.example.yaml` lists them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from infra.settings import Settings, SettingsError

DEFAULT_FILE = Path("watershed.yaml")
"""In the working folder; read where it is there."""

FILE_VARIABLE = "WATERSHED_SETTINGS"
"""Names another file."""

_KINDS: Mapping[str, tuple[type, str]] = {
    "str": (str, "text, in quotes where it looks like a number"),
    "int": (int, "a whole number"),
    "bool": (bool, "true or false"),
    "tuple[str, ...]": (list, "a list"),
    "Mapping[str, str]": (dict, "a table of names and values"),
}


def aws_settings(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Settings of a deployment on AWS: `file`, else the one that `WATERSHED_SETTINGS` names, else
    `watershed.yaml` where there is one; variables `WATERSHED_<NAME>` count more than the file.

    Raises
    ------
    SettingsError : the file or a setting is missing or wrong
    """
    named = file or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    if named is None and DEFAULT_FILE.exists():
        named = DEFAULT_FILE
    return Settings.from_environment(environment, read_settings_file(named) if named else None)


def read_settings_file(file: Path) -> dict[str, Any]:
    """What the file says, each value of its setting's kind.

    Raises
    ------
    SettingsError : there is no such file, it is not YAML, or it names unknown settings or values of a wrong kind
    """
    try:
        content = yaml.safe_load(file.read_text()) or {}
    except OSError:
        raise SettingsError(str(file), "cannot be read; copy infra/settings.example.yaml") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise SettingsError(str(file), f"is not YAML{where}") from None
    if not isinstance(content, dict):
        raise SettingsError(str(file), "must hold a line `name: value` for each setting")
    kinds = {each.name: str(each.type) for each in fields(Settings)}
    found = ((str(name), _problem(str(name), kinds, value)) for name, value in content.items())
    SettingsError.unless_none([(name, problem) for name, problem in found if problem])
    return content


def _problem(name: str, kinds: Mapping[str, str], value: Any) -> str:
    """What is wrong with a line of the file, or nothing."""
    if name not in kinds:
        near = get_close_matches(name, kinds, 1)
        return f"is unknown{f'; did you mean {near[0]}?' if near else ''}"
    expected, said = _KINDS[kinds[name]]
    # In Python a bool is an int, and in YAML `yes` is a bool.
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        return f"{value!r} must be {said}"
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return "" if all(isinstance(each, str) for each in inner) else "must hold text only"
