"""The rules of others: cdk-nag's AwsSolutions and HIPAA.Security packs, and cfn-lint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.assembly import SynthesisError, synthesized
from infra.packaging import REPOSITORY
from infra.rules import lint
from tests.unit.infra.assemblies import ON_AWS, VARIANTS, template, variant

_CFN_LINT = str(Path(sys.executable).parent / "cfn-lint")


@pytest.fixture(scope="module")
def nag_findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("nag")
    checked = subprocess.run(
        [sys.executable, "-m", "tests.unit.infra.nag_report", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    found: dict[str, list[str]] = json.loads(checked.stdout)
    return found


@pytest.mark.parametrize("stack", VARIANTS)
def test_the_stack_passes_the_rules_of_cdk_nag(nag_findings: dict[str, list[str]], stack: str) -> None:
    assert nag_findings[stack] == []


def test_the_rules_of_both_packs_are_really_checked(nag_findings: dict[str, list[str]]) -> None:
    assert "AwsSolutions-S10 at Wrong/Unprotected/Resource" in nag_findings["wrong"]
    assert "HIPAA.Security-S3BucketVersioningEnabled at Wrong/Unprotected/Resource" in nag_findings["wrong"]


@pytest.mark.parametrize("stack", VARIANTS)
def test_cfn_lint_finds_nothing(stack: str) -> None:
    assert lint(variant(stack).template_file) == []


_WAIT_FOR_THE_ANSWER = ("apigateway.amazonaws.com", "cognito-idp.amazonaws.com")


@pytest.mark.parametrize("stack", VARIANTS)
def test_only_the_poll_of_exports_is_invoked_by_events(stack: str) -> None:
    """What the accepted finding on dead letters of functions rests on: nothing else is invoked and forgotten."""
    resources = template(variant(stack))["Resources"]
    permissions = [
        each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::Permission"
    ]
    invoked = [each for each in permissions if each["Principal"] not in _WAIT_FOR_THE_ANSWER]
    functions = {
        resources[each["FunctionName"]["Fn::GetAtt"][0]]["Properties"]["FunctionName"] for each in invoked
    }
    assert functions == {"watershed-poll-export"}


def test_cfn_lint_really_lints(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Nmae": "q"}}}}')
    linted = subprocess.run(
        [_CFN_LINT, "--template", str(wrong)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "E3002" in linted.stdout


def test_the_app_needs_no_node_on_the_path(tmp_path: Path) -> None:
    """With an empty environment but for a home, where the CDK keeps its unpacked libraries."""
    probe = (
        "import os, shutil\n"
        "assert shutil.which('node') is None\n"
        "from infra.node import use_packaged_node\n"
        "use_packaged_node()\n"
        "import aws_cdk\n"
        "aws_cdk.App(outdir='out').synth()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=tmp_path,
        env={
            "PATH": str(tmp_path),
            "PYTHONPATH": str(REPOSITORY),
            "HOME": os.environ.get("HOME", str(tmp_path)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_template_that_cannot_be_made_says_why_and_leaves_nothing_that_looks_made(tmp_path: Path) -> None:
    broken = tmp_path / "repository"
    (broken / "infra").mkdir(parents=True)
    (broken / "infra" / "__init__.py").touch()
    (broken / "infra" / "app.py").write_text("import sys; sys.exit('Setting region: is not one')")
    for _ in range(2):
        with pytest.raises(SynthesisError, match="could not be made:\nSetting region: is not one"):
            synthesized(ON_AWS, tmp_path / "out", repository=broken)
