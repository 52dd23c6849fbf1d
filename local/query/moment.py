"""The time that a query is asked as of."""

from __future__ import annotations

from datetime import UTC, datetime

from local.query.errors import InvalidMoment


def moment(text: str) -> datetime:
    """A date or timestamp of ISO 8601: a date is its first instant, and what names no zone is UTC.

    Raises
    ------
    InvalidMoment : it is neither
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidMoment(
            f"{text!r} is no time of ISO 8601: write 2025-01-31 or 2025-01-31T12:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
