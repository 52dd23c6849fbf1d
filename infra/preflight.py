"""Looks at the account before anything is made in it: what would fail half-way is said at once, all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.item_keys import table_keys
from infra.settings import BUCKETS, CONSOLE_BUCKETS, Settings
from schemas.item_type import load_item_types

BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_VERSION = 6
"""The oldest that assets of today's CDK are published through."""

_MISSING = ("404", "NoSuchBucket", "ResourceNotFoundException", "ParameterNotFound", "ValidationError")


class PreflightError(RuntimeError):
    """Raised when the account is not ready; the message names every problem and what to do about it."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"Nothing was changed: the account is not ready, {many}.\n"
            + "\n".join(f"  - {each}" for each in problems)
        )


@dataclass(frozen=True)
class Account:
    """The account as the checks ask it: settings, and what makes clients."""

    settings: Settings
    client: Callable[[str], Any]


def check_account(settings: Settings, client: Callable[[str], Any]) -> str:
    """That the deployment can be made; only reads. Returns the state of the stack, `new` where there is
    none.

    Raises
    ------
    PreflightError : it cannot
    """
    account = Account(settings, client)
    state = check_identity(account)
    problems = [
        *_bootstrapped(account),
        *_stack_can_change(settings, state),
        *_datastore(account),
        *_existing_streams(account),
        *(_names_are_free(account) if state == "new" else ()),
    ]
    if problems:
        raise PreflightError(problems)
    return state


def check_identity(account: Account) -> str:
    """That the credentials are of the account meant; returns the state of its stack.

    Raises
    ------
    PreflightError : they are not: every other answer would be about somebody else's resources
    """
    problems = list(_identity(account))
    if problems:
        raise PreflightError(problems)
    return stack_state(account)


def stack_state(account: Account) -> str:
    """The status of the deployment's stack, such as `UPDATE_COMPLETE`; `new` where there is none."""
    try:
        reply = account.client("cloudformation").describe_stacks(StackName=account.settings.prefix)
    except ClientError as error:
        if _is_missing(error):
            return "new"
        raise
    status = str(reply["Stacks"][0]["StackStatus"])
    return "new" if status == "DELETE_COMPLETE" else status


def _identity(account: Account) -> Iterator[str]:
    try:
        identity = account.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as problem:
        yield f"AWS does not know who you are ({problem}). Sign in: aws sso login, or set AWS_PROFILE"
        return
    if identity["Account"] != account.settings.account:
        yield (
            f"The credentials are of account {identity['Account']}, the settings are for "
            f"{account.settings.account}. Set AWS_PROFILE, or correct `account`"
        )


def _bootstrapped(account: Account) -> Iterator[str]:
    settings = account.settings
    command = "watershed bootstrap"
    try:
        reply = account.client("ssm").get_parameter(Name=BOOTSTRAP_PARAMETER)
    except ClientError as error:
        if not _is_missing(error):
            raise
        yield f"The CDK is not set up in {settings.region} of this account. Run: {command}"
        return
    version = int(reply["Parameter"]["Value"])
    if version < BOOTSTRAP_VERSION:
        yield f"The CDK's toolkit stack is of version {version}, {BOOTSTRAP_VERSION} is needed. Run: {command}"


def _stack_can_change(settings: Settings, state: str) -> Iterator[str]:
    if state.endswith("_IN_PROGRESS"):
        yield f"Stack {settings.prefix} is {state}: somebody is deploying. Wait for its end"
    elif state == "UPDATE_ROLLBACK_FAILED":
        yield (
            f"Stack {settings.prefix} is {state}. "
            f"Run: aws cloudformation continue-update-rollback --stack-name {settings.prefix}"
        )


def _datastore(account: Account) -> Iterator[str]:
    settings = account.settings
    if settings.makes_datastore:
        return
    id_ = settings.healthlake_datastore_id
    try:
        reply = account.client("healthlake").describe_fhir_datastore(DatastoreId=id_)
    except ClientError as error:
        yield (
            f"Data store {id_} cannot be described in {settings.region} "
            f"({error.response['Error']['Code']}). Correct `healthlake_datastore_id` or `region`"
        )
        return
    found = reply["DatastoreProperties"]
    if found["DatastoreStatus"] != "ACTIVE":
        yield f"Data store {id_} is {found['DatastoreStatus']}; it must be ACTIVE"
    if found["DatastoreTypeVersion"] != "R4":
        yield f"Data store {id_} holds {found['DatastoreTypeVersion']}; Watershed reads R4"


def _existing_streams(account: Account) -> Iterator[str]:
    declared = table_keys(load_item_types().values())
    for name, stream_arn in account.settings.existing_streams.items():
        if name not in declared:
            yield f"`existing_streams`: {name} is no table of the item types; they are {', '.join(declared)}"
            continue
        table = _table(account, name)
        if table is None:
            yield f"Table {name} of `existing_streams` does not exist"
            continue
        if table.get("LatestStreamArn") != stream_arn:
            yield f"Table {name}: its stream is {table.get('LatestStreamArn', 'off')}, not {stream_arn}"
        view = table.get("StreamSpecification", {}).get("StreamViewType", "off")
        if view != "NEW_AND_OLD_IMAGES":
            yield f"Table {name}: its stream's view is {view}; it must be NEW_AND_OLD_IMAGES"
        kinds = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        by_role = sorted(table["KeySchema"], key=lambda each: each["KeyType"] != "HASH")
        keys = tuple((each["AttributeName"], kinds[each["AttributeName"]]) for each in by_role)
        if keys != declared[name]:
            yield f"Table {name}: its key is {_said(keys)}, and schemas/items/ says {_said(declared[name])}"


def _names_are_free(account: Account) -> Iterator[str]:
    """A first deployment makes these, and could not where they are already."""
    settings, s3 = account.settings, account.client("s3")
    purposes = (*BUCKETS, *CONSOLE_BUCKETS) if settings.console else BUCKETS
    for bucket in map(settings.bucket, purposes):
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if _is_missing(error):
                continue
            yield f"Bucket name {bucket} is taken by another account. Choose another `prefix`"
            continue
        yield (
            f"Bucket {bucket} exists, and the stack does not: an earlier deployment kept it. Choose another "
            "`prefix`, or bring it back with: cdk import (docs/deploy.md)"
        )
    for name in table_keys(load_item_types().values()):
        if name not in settings.existing_streams and _table(account, name) is not None:
            yield f"Table {name} exists. Name its stream under `existing_streams`"


def _table(account: Account, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = account.client("dynamodb").describe_table(TableName=name)["Table"]
    except ClientError as error:
        if _is_missing(error):
            return None
        raise
    return found


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in _MISSING


def _said(keys: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in keys)
