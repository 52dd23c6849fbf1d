"""The twin's rows, computed in plain Python from those of the curated tables: slow, small, obviously right."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from glue_jobs.deid.expressions import Rules
from glue_jobs.deid.zip_areas import SPARSE
from schemas.deid_table import DeidTable
from tests.spark.curate.world import in_order

_AGES = ("21611-9", "21612-7", "29553-5", "30525-0", "30972-4", "35659-2", "39016-1")
_PRECISE = {4: "-07-01", 7: "-15"}


@dataclass(frozen=True)
class Oracle:
    """What the twin must show."""

    secret: bytes
    rules: Rules

    def rows(self, table: DeidTable, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return in_order(self._row(table, row) for row in rows)

    def key(self, value: object) -> str:
        return self._hmac(f"key:{value}")[:32]

    def days(self, subject: object) -> int:
        """By how many days the dates of a subject are moved."""
        return -1 - int(self._hmac(f"offset:{subject}")[:8], 16) % 365

    def _hmac(self, message: str) -> str:
        return hmac.new(self.secret, message.encode(), hashlib.sha256).hexdigest()

    def _row(self, table: DeidTable, row: Mapping[str, Any]) -> dict[str, Any]:
        subject = row[table.subject] if table.subject else None
        days = None if subject is None else self.days(subject)
        return {column: self._value(table, column, row, days) for column in row if column in table.treatments}

    def _value(self, table: DeidTable, column: str, row: Mapping[str, Any], days: int | None) -> Any:
        value = row[column]
        if value is None:
            return None
        match table.treatments[column]:
            case "key":
                return self.key(value)
            case "date":
                return self._text(value, days) if isinstance(value, str) else self._date(value, days)
            case "keep":
                return value
            case judged:
                return self._judged(judged, value, row[table.besides[column]])

    def _judged(self, treatment: str, value: Any, by: Any) -> Any:
        if treatment == "zip":
            return _zip(value, by)
        if treatment == "measure":
            return None if by in _AGES else value
        return 90 if value >= 90 else None if by.year - value - 1 <= self.rules.first_year else value

    def _date(self, value: Any, days: int | None) -> Any:
        first = date(self.rules.first_year, 1, 1)
        is_time = isinstance(value, datetime)
        if value.year <= first.year:
            return datetime(first.year, 1, 1, tzinfo=UTC) if is_time else first
        if self.rules.mode == "year":
            return datetime(value.year, 1, 1, tzinfo=UTC) if is_time else date(value.year, 1, 1)
        return None if days is None else value + timedelta(days=days)

    def _text(self, value: str, days: int | None) -> str | None:
        if not re.fullmatch(r"\d{4}(-\d\d(-\d\d(T.*)?)?)?", value):
            return None
        try:
            middle = date.fromisoformat(value[:10] + _PRECISE.get(len(value), ""))
        except ValueError:
            return None
        moved = self._date(middle, days)
        digits = 4 if self.rules.mode == "year" else min(len(value), 10)
        return None if moved is None else moved.isoformat()[:digits]


def _zip(value: str, country: str | None) -> str | None:
    if country is not None and country.strip().upper() not in ("US", "USA", "UNITED STATES"):
        return None
    if not re.fullmatch(r"\d{5}(-?\d{4})?", value):
        return None
    return "000" if value[:3] in SPARSE else value[:3]
