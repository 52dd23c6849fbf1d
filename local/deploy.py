"""Deploys the synthesized stack on the emulator, through the API calls that the CDK's own client makes on
AWS."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from infra.assembly import Assembly, Asset, synthesized
from infra.packaging import REPOSITORY, zip_folder
from infra.settings import Settings
from local.emulator import Emulator

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef
    from mypy_boto3_s3 import S3Client

_DEADLINE_SECONDS = 300
_NO_ENDPOINT = "http://127.0.0.1:1"
_NO_DATASTORE = "none"
"""Where the data store is goes in as parameters: the templates must not depend on the simulator's port."""


class DeployError(RuntimeError):
    """Raised when the stack could not be deployed, or is asked for where there is none; says what to do."""


@dataclass(frozen=True)
class StackOutputs(Mapping[str, str]):
    """The stack's outputs by name, such as `LandingBucket`, and where its emulator answers."""

    stack_name: str
    endpoint: str
    values_by_name: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        try:
            return self.values_by_name[name]
        except KeyError:
            known = ", ".join(sorted(self.values_by_name))
            raise DeployError(f"Stack {self.stack_name} has no output {name}; it has {known}") from None

    def __contains__(self, name: object) -> bool:
        return name in self.values_by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def state_dir(emulator: Emulator) -> Path:
    """`.watershed`, beside whose `emulator/` everything else of the local stack lies."""
    return emulator.root.parent


def read_outputs(state: Path) -> StackOutputs:
    """What the last deployment wrote into `state / "stack.json"`.

    Raises
    ------
    DeployError : nothing was deployed
    """
    try:
        saved = json.loads((state / "stack.json").read_text())
    except FileNotFoundError:
        raise DeployError("No stack is deployed. Deploy it with: watershed deploy") from None
    return StackOutputs(saved["stack_name"], saved["endpoint"], saved["outputs"])


def deploy(
    emulator: Emulator,
    settings: Settings,
    progress: Callable[[str], None] = lambda _message: None,
    *,
    repository: Path = REPOSITORY,
    out: Path | None = None,
) -> StackOutputs:
    """Bring the stack on the emulator to what the repository and `settings` say; without a change, do
    nothing. `out` is where the templates are kept, `.watershed/cdk.out` unless given.

    Raises
    ------
    SynthesisError : the templates could not be made
    DeployError : the stack was refused or rolled back; the message names the resources and their reasons
    """
    state = state_dir(emulator)
    neutral = replace(settings, healthlake_endpoint=_NO_ENDPOINT, healthlake_datastore_id=_NO_DATASTORE)
    assembly = synthesized(neutral, out or state / "cdk.out", progress, repository)
    publish(assembly, emulator.client("s3"), progress)
    parameters = {
        "HealthLakeEndpoint": settings.healthlake_endpoint,
        "HealthLakeDatastoreId": settings.healthlake_datastore_id,
    }
    stack = _apply(assembly, emulator.client("cloudformation"), emulator.endpoint, parameters, progress)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    saved = {"stack_name": assembly.stack_name, "endpoint": emulator.endpoint, "outputs": outputs}
    (state / "stack.json").write_text(json.dumps(saved, indent=2) + "\n")
    return StackOutputs(assembly.stack_name, emulator.endpoint, outputs)


def publish(assembly: Assembly, s3: S3Client, progress: Callable[[str], None]) -> int:
    """Upload the assets that are not there yet, and return how many. Their keys are hashes of their
    contents."""
    missing = [asset for asset in assembly.assets() if not _exists(s3, asset)]
    for bucket in sorted({asset.bucket for asset in missing}):
        s3.create_bucket(Bucket=bucket)
    with tempfile.TemporaryDirectory(prefix="watershed-assets-") as scratch:
        for asset in missing:
            file = asset.source
            if asset.packaging == "zip":
                file = Path(scratch) / Path(asset.key).name
                zip_folder(asset.source, file)
            s3.upload_file(str(file), asset.bucket, asset.key)
    if missing:
        progress(f"Published {len(missing)} assets")
    return len(missing)


def _exists(s3: S3Client, asset: Asset) -> bool:
    try:
        s3.head_object(Bucket=asset.bucket, Key=asset.key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket", "NotFound"):
            return False
        raise
    return True


def _apply(
    assembly: Assembly,
    cloudformation: CloudFormationClient,
    endpoint: str,
    parameters: Mapping[str, str],
    progress: Callable[[str], None],
) -> StackTypeDef:
    name = assembly.stack_name
    template = assembly.template_asset()
    url = f"{endpoint}/{template.bucket}/{template.key}"
    given: list[ParameterTypeDef] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
    ]
    existing = _describe(cloudformation, name)
    if existing and existing["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED"):
        # A stack whose creation failed can only be deleted.
        progress(f"Removing stack {name}, whose creation failed")
        cloudformation.delete_stack(StackName=name)
        _await(cloudformation, name, ("DELETE_COMPLETE",))
        existing = None
    if existing is None:
        progress(f"Creating stack {name}")
        cloudformation.create_stack(
            StackName=name, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        return _await(cloudformation, name, ("CREATE_COMPLETE",))
    try:
        cloudformation.update_stack(
            StackName=name, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeployError(f"Stack {name} cannot be updated: {error}") from error
        progress(f"Stack {name} is up to date")
        return existing
    progress(f"Updating stack {name}")
    return _await(cloudformation, name, ("UPDATE_COMPLETE",))


def _describe(cloudformation: CloudFormationClient, name: str) -> StackTypeDef | None:
    try:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def _await(cloudformation: CloudFormationClient, name: str, wanted: tuple[str, ...]) -> StackTypeDef:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        stack = _describe(cloudformation, name)
        if stack is None:
            if "DELETE_COMPLETE" in wanted:
                return {"StackName": name, "StackStatus": "DELETE_COMPLETE"}  # type: ignore[typeddict-item]
            break
        if stack["StackStatus"] in wanted:
            return stack
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            raise DeployError(
                f"Stack {name} ended in {stack['StackStatus']}:\n{_reasons(cloudformation, name)}"
            )
        time.sleep(0.1)
    raise DeployError(f"Stack {name} was not deployed within {_DEADLINE_SECONDS} s")


def _reasons(cloudformation: CloudFormationClient, name: str) -> str:
    """Which resources failed and why, the first first."""
    # The newest come first, and a rollback has an event or two for each resource: what failed may be pages away.
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
    events = [event for page in pages for event in page["StackEvents"]]
    failed = [
        f"  {event.get('LogicalResourceId')} ({event.get('ResourceType')}): "
        f"{event.get('ResourceStatusReason')}"
        for event in reversed(events)
        if str(event.get("ResourceStatus", "")).endswith("_FAILED")
    ]
    # What fails before anything is made is told apart from the stack's own events.
    refused = [
        f"  {event.get('LogicalResourceId')} ({event.get('ResourceType')}): "
        f"{event.get('ValidationStatusReason')}"
        for event in cloudformation.describe_events(StackName=name)["OperationEvents"]
        if event.get("EventType") == "VALIDATION_ERROR"
    ]
    return "\n".join([*failed, *refused]) or "  (no resource says why)"
