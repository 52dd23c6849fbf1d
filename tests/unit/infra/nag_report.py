"""Run as a program: checks the stack, and one that is known to be wrong, with cdk-nag's AwsSolutions rules.

Both in one process, since starting the CDK takes longer than checking. Prints the findings by stack, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import App


def findings(folder: Path, make: Callable[[App], object]) -> list[str]:
    """`rule at construct` for all that the rules find fault with in what `make` puts into an app."""
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from infra.app import FEATURES

    app = App(outdir=str(folder), context=FEATURES)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    make(app)
    try:
        app.synth()
    except RuntimeError as refusal:
        if "ValidationFailed" not in str(refusal):
            raise
    report = json.loads((folder / "validation-report.json").read_text())
    return [
        f"{violation['ruleName']} at {construct['constructPath']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]


def _with_feed(feed: str, build: Path, app: App) -> None:
    from infra.stack import WatershedStack
    from tests.unit.infra.assemblies import NAMED

    WatershedStack(app, replace(NAMED, change_feed=feed, resource_events=True), build)


def main(folder: Path) -> None:
    from infra.node import use_packaged_node

    use_packaged_node()
    from aws_cdk import Stack
    from aws_cdk import aws_s3 as s3

    from infra.stack import WatershedStack
    from tests.unit.infra.assemblies import ON_AWS

    found = {
        "watershed": findings(folder / "out", lambda app: WatershedStack(app, ON_AWS, folder / "build")),
        **{
            feed: findings(folder / feed, partial(_with_feed, feed, folder / "build"))
            for feed in ("cloudtrail", "subscription")
        },
        "wrong": findings(folder / "wrong", lambda app: s3.Bucket(Stack(app, "Wrong"), "Unprotected")),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
