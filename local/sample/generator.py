"""clinosim's command line, with its YAML read by libyaml: ``python -m local.sample.generator simulate …``.

clinosim spends two fifths of a small run parsing its own YAML with PyYAML's Python scanner. libyaml's gives
the same objects, and comes in the same wheel. A process of its own, so that nothing else is touched.
"""

from __future__ import annotations

import gc
import sys

import yaml


def main() -> int:
    """Run clinosim with this process's arguments; its exit code."""
    # `yaml.safe_load` looks this name up at each call, and clinosim's strict loader derives from it.
    yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[misc, assignment]
    # It builds records until the last day and then writes them: little garbage, all of it without cycles.
    gc.disable()
    from clinosim.simulator.cli import main as simulate

    return int(simulate() or 0)


if __name__ == "__main__":
    sys.exit(main())
