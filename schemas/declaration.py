"""Reads a YAML or JSON declaration and hands out its fields, typed, or an error that names file and field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from schemas.errors import SchemaError

SCHEMAS_DIR = Path(__file__).parent
_SQL_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """``createdAtTime`` → ``created_at_time``; ``siteID`` → ``site_id``."""
    return re.sub(r"[^a-z0-9_]", "_", _WORD_BOUNDARY.sub("_", name).lower())


@dataclass(frozen=True)
class Declaration:
    """One mapping inside a declaration file, with the path that leads to it."""

    file: Path
    value: Mapping[str, Any]
    path: str = ""

    def error(self, field: str, problem: str) -> SchemaError:
        return SchemaError(self.file, ".".join(part for part in (self.path, field) if part), problem)

    def allow_only(self, fields: Iterable[str]) -> None:
        """Refuse unknown fields, so that a misspelt one is not silently ignored."""
        known = sorted(fields)
        for name in self.value:
            if name not in known:
                raise self.error(str(name), f"unknown field; known are {', '.join(known)}")

    def text(self, field: str, default: str | None = None) -> str:
        value = self.value.get(field, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.error(field, "must be a non-empty text")
        return value.strip()

    def flag(self, field: str, default: bool = False) -> bool:
        value = self.value.get(field, default)
        if not isinstance(value, bool):
            raise self.error(field, "must be true or false")
        return value

    def texts(self, field: str, required: bool = False) -> tuple[str, ...]:
        value = self.value.get(field, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.error(field, "must be a list of texts")
        if required and not value:
            raise self.error(field, "must name at least one")
        return tuple(value)

    def sql_name(self, field: str) -> str:
        value = self.text(field)
        if not _SQL_NAME.match(value):
            raise self.error(field, f"{value!r} must be lower_snake_case: it becomes a SQL name")
        return value

    def child(self, field: str) -> Declaration:
        value = self.value.get(field)
        if not isinstance(value, dict):
            raise self.error(field, "must be a mapping")
        return Declaration(self.file, value, ".".join(part for part in (self.path, field) if part))

    def children(self, field: str) -> Iterator[tuple[str, Declaration]]:
        """Each entry of a mapping of mappings, by name."""
        for name in self.child(field).value:
            yield str(name), self.child(field).child(str(name))

    def items(self, field: str) -> Iterator[Declaration]:
        """Each entry of a list of mappings."""
        value = self.value.get(field, [])
        if not isinstance(value, list):
            raise self.error(field, "must be a list")
        for index, each in enumerate(value):
            path = f"{self.path}.{field}[{index}]".lstrip(".")
            if not isinstance(each, dict):
                raise SchemaError(self.file, path, "must be a mapping")
            yield Declaration(self.file, each, path)


def read_declaration(file: Path) -> Declaration:
    """The mapping in one ``.yaml`` or ``.json`` file.

    Raises
    ------
    SchemaError : the file is missing, is not valid, or is not a mapping
    """
    try:
        text = file.read_text(encoding="utf-8")
        value = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise SchemaError(file, "", "no such file") from None
    except json.JSONDecodeError as error:
        raise SchemaError(file, f"line {error.lineno}", f"is not JSON: {error.msg}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        raise SchemaError(file, where, f"is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(value, dict):
        raise SchemaError(file, "", "must be a mapping of fields")
    return Declaration(file, value)


def declaration_files(folder: Path, suffix: str) -> list[Path]:
    """The declarations of one kind, by name, so that every reader sees one order."""
    return sorted(folder.glob(f"*{suffix}"))
