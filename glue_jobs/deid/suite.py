"""What must hold of a twin's table before it is shown, made of its declaration: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from glue_jobs.deid.expressions import KEY_DIGITS, OLDEST, Rules
from schemas.deid_table import DeidTable
from schemas.expectation import Expectation, Suite

ZONE = "curated_deid"
_REGEX, _BETWEEN = "expect_column_values_to_match_regex", "expect_column_values_to_be_between"


def twin_suite(table: DeidTable, types: Mapping[str, str], rules: Rules) -> Suite:
    """One expectation for each column that is not shown as it is; every one halts."""
    return Suite(f"{ZONE}.{table.table}", tuple(_expectations(table, types, rules)), table.file)


def _expectations(table: DeidTable, types: Mapping[str, str], rules: Rules) -> Iterator[Expectation]:
    for column, type_ in types.items():
        match table.treatments.get(column):
            case "key":
                pattern = f"^[0-9a-f]{{{KEY_DIGITS}}}$"
                yield _expectation(_REGEX, "a key is shown as its keyed hash", column, regex=pattern)
            case "zip":
                yield _expectation(_REGEX, "a ZIP code is shown by its area", column, regex="^[0-9]{3}$")
            case "age":
                reason = f"ages of {OLDEST} and over are one category"
                yield _expectation(_BETWEEN, reason, column, max_value=OLDEST)
            case "date" if type_ != "string":
                reason = f"no date tells an age of {OLDEST} or over"
                yield _expectation(_BETWEEN, reason, column, min_value=f"{rules.first_year}-01-01")


def _expectation(kind: str, reason: str, column: str, **arguments: object) -> Expectation:
    return Expectation(kind, {"column": column, **arguments}, "halt", reason)
