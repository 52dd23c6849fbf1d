"""Names as ids of constructs have them: letters and digits only."""

from __future__ import annotations

import re


def camel(name: str, separators: str = "-_") -> str:
    """`CuratedDeid` for `curated_deid`, `ConformItems` for `conform-items`."""
    return "".join(part.capitalize() for part in re.split(f"[{separators}]", name))
