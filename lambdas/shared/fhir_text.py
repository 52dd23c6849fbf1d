"""FHIR JSON that keeps decimals as they were written.

A decimal's precision means something in FHIR (`1.50` is not `1.5`) and a float would lose it, so fractions
travel through Python as marked strings. The mark begins with U+0000, which FHIR forbids in strings.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_MARK: Final = "\x00decimal:"
_MARKED: Final = re.compile(r'"\\u0000decimal:([^"]*)"')


def loads(text: str | bytes) -> Any:
    """Parse FHIR JSON. Raises ValueError where it is not JSON, or holds NaN or Infinity."""
    return json.loads(text, parse_float=lambda number: _MARK + number, parse_constant=_refuse)


def dumps(value: Any) -> str:
    """One line of compact JSON, non-ASCII as it is, decimals as they were read."""
    return _MARKED.sub(r"\1", json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
