"""FHIR JSON that keeps decimals as they were written.

FHIR asks servers to keep a decimal's precision (`1.50` is not `1.5`), and a float would lose it.
Fractions are carried through Python as marked strings and unmarked on the way out. The mark begins
with U+0000, which FHIR forbids in strings, so no resource can contain one of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_MARK: Final = "\x00decimal:"
_MARKED: Final = re.compile(r'"\\u0000decimal:([^"]*)"')

Resource = dict[str, Any]
"""A FHIR resource as parsed JSON."""


def loads(text: str | bytes) -> Any:
    """Parse FHIR JSON. Raises ValueError where it is not JSON, or holds NaN or Infinity."""
    return json.loads(text, parse_float=_mark, parse_constant=_refuse)


def dumps(value: Any) -> str:
    """One line of compact JSON, non-ASCII as it is, decimals as they were read."""
    return _MARKED.sub(r"\1", json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _mark(number: str) -> str:
    return _MARK + number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
