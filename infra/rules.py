"""The rules of others: cdk-nag's AwsSolutions and HIPAA.Security packs, and cfn-lint.

`python -m infra.rules` synthesizes as `infra.app` does and checks; it ends with 1 where a rule finds fault. A
finding that stands is accepted in the code, beside what it is about, with the reason (`policies.accept`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from infra.app import DEFAULT_OUT, FEATURES, given_settings, synthesize

if TYPE_CHECKING:
    from aws_cdk import App

_ACCEPTED = {"W3005"}
"""The CDK adds the dependency of each function on its role, which the reference to the role implies."""


def nag(folder: Path, make: Callable[[App], object]) -> list[str]:
    """`rule at construct` for all that cdk-nag finds fault with in what `make` puts into an app."""
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks

    app = App(outdir=str(folder), context=FEATURES)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), HIPAASecurityChecks(app))
    make(app)
    try:
        app.synth()
    except RuntimeError as refusal:
        if "ValidationFailed" not in str(refusal):
            raise
    report = json.loads((folder / "validation-report.json").read_text())
    return sorted(
        f"{violation['ruleName']} at {construct['constructPath']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    )


def lint(template: Path) -> list[str]:
    """`rule: message` for all that cfn-lint finds fault with in a template.

    Raises
    ------
    RuntimeError : cfn-lint did not run
    """
    program = Path(sys.executable).parent / "cfn-lint"
    linted = subprocess.run(
        [str(program), "--format", "json", "--template", str(template)],
        capture_output=True,
        text=True,
        check=False,
    )
    if linted.stderr:
        raise RuntimeError(f"cfn-lint failed: {linted.stderr.strip().splitlines()[-1]}")
    return [
        f"{each['Rule']['Id']}: {each['Message']}"
        for each in json.loads(linted.stdout or "[]")
        if each["Rule"]["Id"] not in _ACCEPTED
    ]


def main() -> int:
    settings = given_settings(os.environ)
    out = synthesize(settings, DEFAULT_OUT.resolve())
    from infra.stack import WatershedStack

    findings = [f"cfn-lint {each}" for each in lint(out / f"{settings.prefix}.template.json")]
    with tempfile.TemporaryDirectory(prefix="watershed-nag-") as scratch:
        folder = Path(scratch)
        findings += nag(folder / "out", lambda app: WatershedStack(app, settings, folder / "build"))
    sys.stdout.write("".join(f"{each}\n" for each in findings))
    sys.stdout.write(f"{out}: {len(findings)} findings of cfn-lint, AwsSolutions and HIPAA.Security\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
