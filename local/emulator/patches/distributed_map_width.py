"""A Distributed Map runs as many children at a time as this machine has cores, not as its definition allows.

AWS runs 40 copies of a function at once on as many machines. Here each is a Python process that starts cold:
28 files of a first export made 28 processes, of some 70 MB, which took two cores longer to start than
the copying did, and stayed for five minutes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

WIDTH = max(2, os.cpu_count() or 2)


def apply() -> None:
    from ministack.services import stepfunctions

    run = stepfunctions._run_distributed_map

    def run_narrowly(state_def: Mapping[str, Any], *rest: Any) -> Any:
        declared = int(state_def.get("MaxConcurrency") or WIDTH)
        return run({**state_def, "MaxConcurrency": min(declared, WIDTH)}, *rest)

    stepfunctions._run_distributed_map = run_narrowly
