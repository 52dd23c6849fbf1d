"""What the names of quarantined objects tell: pure. What the objects hold is never read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

PREFIX: Final = "quarantine/"

_KEY: Final = re.compile(PREFIX + r"source=(?P<source>[^/]+)/reason=(?P<reason>[^/]+)/(?:date=[^/]+/)?[^/]+")


@dataclass(frozen=True)
class QuarantinedObject:
    """An object's key, its size in bytes, and when it was written."""

    key: str
    size: int
    written_at: datetime


def by_reason(found: Iterable[QuarantinedObject]) -> list[dict[str, Any]]:
    """What lies in quarantine, as the API shows it: one entry for each source and reason, in their order.

    Times are seconds since 1970. Keys that are no quarantine's are passed over: folders that a console makes.
    """
    groups: dict[tuple[str, str], list[QuarantinedObject]] = {}
    for each in found:
        parts = _KEY.fullmatch(each.key)
        if parts:
            groups.setdefault((unquote(parts["source"]), unquote(parts["reason"])), []).append(each)
    return [
        {
            "source": source,
            "reason": reason,
            "objects": len(group),
            "bytes": sum(each.size for each in group),
            "first_at": min(each.written_at for each in group).timestamp(),
            "latest_at": max(each.written_at for each in group).timestamp(),
        }
        for (source, reason), group in sorted(groups.items())
    ]
