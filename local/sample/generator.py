"""clinosim's command line, in less time: ``python -m local.sample.generator simulate …``.

The records are those that ``clinosim`` itself writes, byte for byte. A process of its own, so that nothing
else is touched by what is done to the library here.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import yaml
from clinosim.modules.output import fhir_r4

_FINISHING = ("_normalize_dt_fields", "_populate_practitioner_reference_display")
"""What clinosim does to every resource it makes; both walk the whole of it."""


def main() -> int:
    """Run clinosim with this process's arguments; its exit code."""
    # Two fifths of a small run is PyYAML's scanner, in Python. libyaml's gives the same objects.
    # `yaml.safe_load` looks this name up at each call, and clinosim's strict loader derives from it.
    yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[misc, assignment]
    # It makes a patient's resources anew at each encounter, finishes them, and then writes the first of each.
    for name in _FINISHING:
        setattr(fhir_r4, name, _only_the_first(getattr(fhir_r4, name)))
    # It builds records until the last day and then writes them: little garbage, all of it without cycles.
    gc.disable()
    from clinosim.simulator.cli import main as simulate

    return int(simulate() or 0)


def _only_the_first(finish: Callable[..., object]) -> Callable[..., object]:
    """``finish``, for the first resource of a type and id only."""
    seen: set[tuple[str, str]] = set()

    @wraps(finish)
    def finish_first(resource: dict[str, Any], *rest: object) -> object:
        key = (resource.get("resourceType", ""), resource.get("id", ""))
        if key[1] and key in seen:
            return None
        seen.add(key)
        return finish(resource, *rest)

    return finish_first


if __name__ == "__main__":
    sys.exit(main())
