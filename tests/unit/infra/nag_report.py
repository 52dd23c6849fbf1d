"""Run as a program: checks the stack, and one that is known to be wrong, with cdk-nag's rules.

All in one process, since starting the CDK takes longer than checking. Prints the findings by stack, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_cdk import App


def main(folder: Path) -> None:
    from infra.node import use_packaged_node

    use_packaged_node()
    from aws_cdk import Stack
    from aws_cdk import aws_s3 as s3

    from infra.rules import nag
    from infra.stack import WatershedStack
    from tests.unit.infra.assemblies import VARIANTS

    def stack_of(settings: Any) -> Callable[[App], object]:
        return lambda app: WatershedStack(app, settings, folder / "build")

    found = {name: nag(folder / name, stack_of(settings)) for name, settings in VARIANTS.items()}
    found["wrong"] = nag(folder / "wrong", lambda app: s3.Bucket(Stack(app, "Wrong"), "Unprotected"))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
