"""The commands, up to the call of the CDK's client: that one is recorded, everything before it is real."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.assembly import synthesized
from infra.kept import kept
from infra.packaging import REPOSITORY
from infra.preflight import PreflightError
from infra.settings import SettingsError
from infra.toolkit import TOOLKIT, ToolkitError, toolkit
from local.cli import app
from local.commands import aws
from local.commands.aws import deploy_to_aws, destroy_on_aws
from local.errors import LocalError
from local.terminal import Terminal
from tests.aws.deployment.conftest import World
from tests.unit.infra.assemblies import ON_AWS, SHARED

QUIET = Terminal(as_json=True)


class Recorder:
    """In the place of the CDK's client."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str, region: str) -> int:
        assert region == "eu-west-1"
        self.calls.append(arguments)
        return self.code


@pytest.fixture(autouse=True)
def templates(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those that all tests share: nothing is synthesized twice."""
    monkeypatch.setenv("WATERSHED_STATE", str(SHARED))
    return SHARED / "aws.cdk.out"


def _deploy(world: World, cdk: Recorder, **options: bool) -> dict[str, Any]:
    given = {"check_only": False, "ask": True, **options}
    return deploy_to_aws(QUIET, world.settings, world.client, run=cdk, **given)


def test_a_deployment_checks_synthesizes_and_calls_the_client_once(world: World, templates: Path) -> None:
    cdk = Recorder()
    done = _deploy(world, cdk)
    assert cdk.calls == [
        ("deploy", "watershed", "--app", str(templates), "--require-approval", "broadening"),
    ]
    assert done["templates"] == str(templates)
    manifest = json.loads((templates / "manifest.json").read_text())
    environments = [each.get("environment") for each in manifest["artifacts"].values()]
    assert "aws://123456789012/eu-west-1" in environments


def test_an_account_that_is_not_ready_is_not_deployed_to(world: World) -> None:
    cdk = Recorder()
    world.datastore = None
    with pytest.raises(PreflightError):
        _deploy(world, cdk)
    assert cdk.calls == []


def test_a_check_stops_before_the_client(world: World) -> None:
    cdk = Recorder()
    assert _deploy(world, cdk, check_only=True)["state"] == "new"
    assert cdk.calls == []


def test_a_client_that_fails_fails_the_command(world: World) -> None:
    with pytest.raises(ToolkitError, match="cdk deploy failed"):
        _deploy(world, Recorder(1), ask=False)


_DEPLOYED: dict[str, dict[str, Any]] = {
    "Landing": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "watershed-landing"}},
    "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}},
    "Topic": {"Type": "AWS::SNS::Topic"},
}


def _make_stack(world: World, *retained: str) -> None:
    resources = {
        name: {**each, **({"DeletionPolicy": "Retain"} if name in retained else {})}
        for name, each in _DEPLOYED.items()
    }
    world.client("cloudformation").create_stack(
        StackName=world.settings.prefix, TemplateBody=json.dumps({"Resources": resources})
    )


def test_removal_says_what_stays_and_lifts_the_protection(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_stack(world, "Landing", "Key")
    cdk = Recorder()
    asked: list[str] = []

    def confirmed(name: str) -> bool:
        asked.append(name)
        return True

    done = destroy_on_aws(Terminal(), world.settings, world.client, confirmed, cdk)
    assert asked == ["watershed"]
    assert [call[0] for call in cdk.calls] == ["destroy"]
    assert world.protection == [{"StackName": "watershed", "EnableTerminationProtection": False}]
    # What AWS's commands take to remove it: a key, for one, has no name of its own.
    (key,) = world.client("kms").list_keys()["Keys"]
    assert done["kept"] == [
        {"kind": "bucket", "name": "watershed-landing"},
        {"kind": "key", "name": key["KeyId"]},
    ]
    said = capsys.readouterr().out
    for each in done["kept"]:
        assert each["name"] in said


def test_what_stays_is_what_was_deployed_whatever_the_settings_say_now(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFormation removes the stack as it is: `retain_data` counts only once it is deployed."""
    assert world.settings.retain_data
    _make_stack(world)
    with pytest.raises(LocalError):
        destroy_on_aws(Terminal(), world.settings, world.client, lambda _name: False, Recorder())
    assert "All data is lost" in capsys.readouterr().out


def test_every_kind_that_a_deployment_keeps_has_a_name_of_its_own(templates: Path) -> None:
    synthesized(ON_AWS, templates)
    stays = kept(json.loads((templates / "watershed.template.json").read_text()), {})
    kinds = [each.kind for each in stays]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        **{"bucket": 7, "key": 1, "table": 6, "user pool": 1},
        "API logging": 1,  # of all APIs of the account, those of others too
    }


def test_removal_that_is_not_confirmed_changes_nothing(world: World) -> None:
    _make_stack(world)
    cdk = Recorder()
    with pytest.raises(LocalError, match="Nothing was removed"):
        destroy_on_aws(QUIET, world.settings, world.client, lambda _name: False, cdk)
    assert cdk.calls == []
    assert world.protection == []


def test_there_must_be_something_to_remove(world: World) -> None:
    with pytest.raises(LocalError, match="There is no stack watershed"):
        destroy_on_aws(QUIET, world.settings, world.client, lambda _name: True, Recorder())


def test_the_client_is_pinned_and_runs_on_the_packaged_node() -> None:
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], environment: Any) -> int:
        assert environment["AWS_REGION"] == "eu-west-1"
        calls.append(command)
        return 7

    assert toolkit("diff", region="eu-west-1", run=run) == 7
    ((node, npm, *arguments),) = calls
    assert Path(node).is_file()
    assert Path(npm).is_file()
    assert arguments == ["exec", "--yes", f"--package={TOOLKIT}", "--", "cdk", "diff"]


@pytest.fixture
def settings_file(tmp_path: Path) -> str:
    """The settings of the world, as a file."""
    file = tmp_path / "watershed.yaml"
    file.write_text(
        f"account: '{ON_AWS.account}'\nregion: {ON_AWS.region}\n"
        f"healthlake_datastore_id: {ON_AWS.healthlake_datastore_id}\nfirehose_tables: [watershed-site-activity]\n"
    )
    return str(file)


@pytest.mark.parametrize(
    ("command", "called"),
    [
        (["diff"], ("diff", "watershed")),
        (["bootstrap"], ("bootstrap", "aws://123456789012/eu-west-1")),
        (["deploy", "--aws", "--yes"], ("deploy", "watershed")),
        (["deploy", "--aws", "--check-only"], ()),
    ],
)
def test_the_command_line_reaches_the_client(
    world: World,
    settings_file: str,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    called: tuple[str, ...],
) -> None:
    cdk = Recorder()
    monkeypatch.setattr(aws, "aws_client", lambda _settings: world.client)
    monkeypatch.setattr(aws, "toolkit", cdk)
    result = CliRunner().invoke(app, [*command, "--settings", settings_file])
    assert result.exit_code == 0, result.output
    assert [call[:2] for call in cdk.calls] == ([called] if called else [])


def test_a_client_that_fails_is_a_message_too(
    world: World, settings_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "aws_client", lambda _settings: world.client)
    monkeypatch.setattr(aws, "toolkit", Recorder(1))
    result = CliRunner().invoke(app, ["bootstrap", "--settings", settings_file])
    assert result.exit_code == 1
    assert not isinstance(result.exception, ToolkitError)


def test_a_wrong_setting_is_a_message_and_not_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "watershed.yaml"
    file.write_text("region: eu-west-1\n")
    result = CliRunner().invoke(app, ["deploy", "--aws", "--settings", str(file)])
    assert result.exit_code == 1
    assert not isinstance(result.exception, SettingsError)


def test_the_page_empties_and_deletes_a_bucket_with_all_its_versions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of docs/deploy.md: `aws s3 rm` leaves the versions, and a bucket that holds any is not deleted."""
    page = (REPOSITORY / "docs" / "deploy.md").read_text()
    (code,) = re.findall(r'python -c "(.+)" <bucket>', page)
    s3 = world.client("s3")
    where: Any = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration=where)
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket="kept", Key="a", Body=b"x")
    s3.delete_object(Bucket="kept", Key="a")
    monkeypatch.setattr(sys, "argv", ["-c", "kept"])
    exec(code, {})
    assert s3.list_buckets()["Buckets"] == []
