"""Expectations: what must hold of a table before analysts see it. One YAML suite per table under
``schemas/expectations/``, in the vocabulary of Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.declaration import SCHEMAS_DIR, Declaration, declaration_files, read_declaration

EXPECTATIONS_DIR = SCHEMAS_DIR / "expectations"
SEVERITIES = ("warn", "quarantine", "halt")
"""``halt`` keeps the table unpublished; ``quarantine`` the rows that do not hold; ``warn`` publishes and says so."""

_PAIR = ("column_A", "column_B", "ignore_row_if")
ROW_KINDS: Mapping[str, tuple[str, ...]] = {
    "expect_column_values_to_not_be_null": ("column",),
    "expect_column_values_to_be_in_set": ("column", "value_set"),
    "expect_column_values_to_be_between": ("column", "min_value", "max_value", "strict_min", "strict_max"),
    "expect_column_values_to_match_regex": ("column", "regex"),
    "expect_column_pair_values_to_be_equal": _PAIR,
    "expect_column_pair_values_a_to_be_greater_than_b": (*_PAIR, "or_equal"),
}
"""Types that judge each row by itself, which ``quarantine`` needs, and the arguments that do."""


@dataclass(frozen=True)
class Expectation:
    """One check: a Great Expectations type, such as ``expect_column_to_exist``, and its arguments."""

    type: str
    arguments: Mapping[str, Any]
    severity: str
    reason: str


@dataclass(frozen=True)
class Suite:
    """The checks of one table, ``zone.table``."""

    table: str
    expectations: tuple[Expectation, ...]
    file: Path

    @property
    def row_rules(self) -> tuple[Expectation, ...]:
        """What a row must hold to be published."""
        return tuple(each for each in self.expectations if each.severity == "quarantine")


def _expectation(fields: Declaration) -> Expectation:
    fields.allow_only(("expect", "with", "severity", "reason"))
    kind = fields.text("expect")
    if not kind.startswith("expect_"):
        raise fields.error(
            "expect", f"{kind!r} must be a Great Expectations type, such as expect_column_to_exist"
        )
    severity = fields.text("severity", "halt")
    if severity not in SEVERITIES:
        raise fields.error("severity", f"{severity!r} is not one of {', '.join(SEVERITIES)}")
    arguments = fields.child("with").value if "with" in fields.value else {}
    if severity == "quarantine":
        _check_row_level(fields, kind, arguments)
    return Expectation(kind, arguments, severity, fields.text("reason"))


def _check_row_level(fields: Declaration, kind: str, arguments: Mapping[str, Any]) -> None:
    """Refuse to set rows aside by what is true of many rows together."""
    if kind not in ROW_KINDS:
        known = ", ".join(ROW_KINDS)
        raise fields.error("severity", f"{kind} does not judge single rows; quarantine is for {known}")
    for argument in arguments:
        if argument not in ROW_KINDS[kind]:
            known = ", ".join(ROW_KINDS[kind])
            raise fields.error(f"with.{argument}", f"is not for quarantine, which takes {known}")


def read_suite(file: Path) -> Suite:
    """The suite in one YAML file; the file is named for the curated table.

    Raises
    ------
    SchemaError : naming the file and the field
    """
    fields = read_declaration(file)
    fields.allow_only(("table", "expectations"))
    table = fields.sql_name("table")
    if table != file.stem:
        raise fields.error("table", f"{table!r} must be the file's name, {file.stem!r}")
    expectations = tuple(map(_expectation, fields.items("expectations")))
    if not expectations:
        raise fields.error("expectations", "must hold at least one")
    return Suite(table, expectations, file)


def load_suites(folder: Path = EXPECTATIONS_DIR) -> dict[str, Suite]:
    """Every suite, by table.

    Raises
    ------
    SchemaError : a file is wrong
    """
    return {suite.table: suite for suite in map(read_suite, declaration_files(folder, ".yaml"))}
