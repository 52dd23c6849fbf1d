"""Roles written by hand: each permission names its actions and its resources, and says why where it
cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.settings import Settings


@dataclass(frozen=True)
class Permission:
    """One `Allow`. `reason` says why a resource holds a wildcard, where one does."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


class BroadPermissionError(ValueError):
    """Raised when a permission is broader than it says: an action, or an unexplained resource, with a
    wildcard."""


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Any] | None = None,
    *,
    reason: str = "",
) -> Permission:
    """One `Allow`.

    Raises
    ------
    BroadPermissionError : an action holds a wildcard, or a resource does and no reason is given
    """
    for action in actions:
        if "*" in action:
            raise BroadPermissionError(f"{sid} allows {action!r}: name each action")
    if not reason and any("*" in resource for resource in resources):
        raise BroadPermissionError(f"{sid} allows {', '.join(resources)}: say why with reason=")
    return Permission(sid, tuple(actions), tuple(resources), dict(conditions or {}), reason)


def role(
    scope: Construct,
    name: str,
    principal: iam.IPrincipal,
    description: str,
    permissions: Sequence[Permission],
) -> iam.IRole:
    """A role of exactly these permissions; the CDK's own grants add nothing to it."""
    statements = [
        iam.PolicyStatement(
            sid=each.sid,
            actions=list(each.actions),
            resources=list(each.resources),
            conditions=dict(each.conditions),
        )
        for each in permissions
    ]
    made = iam.Role(
        scope,
        "Role",
        role_name=name,
        assumed_by=principal,
        description=description,
        inline_policies={"Permissions": iam.PolicyDocument(statements=statements, minimize=False)},
    )
    accept(
        made,
        "HIPAA.Security::HIPAA.Security-IAMNoInlinePolicy",
        "A role and its permissions are one: written together, read together, removed together. A managed policy"
        " could be attached to others.",
    )
    for each in permissions:
        for resource in each.resources:
            if "*" in resource:
                accept(made, f"AwsSolutions-IAM5[Resource::{_as_reported(scope, resource)}]", each.reason)
    return made.without_policy_updates()


def accept(construct: Construct, rule: str, reason: str) -> None:
    """Accept a finding of the rules checker on this construct and below, with the reason why it stands."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def _as_reported(scope: Construct, resource: str) -> str:
    """A resource as the rules checker writes it: `<LogicalId.Arn>/items/*` for what only the deployment
    knows."""
    return flat(Stack.of(scope).resolve(resource))


def flat(value: Any) -> str:
    """A value of a template as text, `<LogicalId.Arn>` for what only the deployment knows."""
    if isinstance(value, str):
        return value
    (function, argument), *_ = value.items()
    if function == "Fn::Join":
        separator, parts = argument
        return str(separator).join(flat(part) for part in parts)
    if function == "Fn::GetAtt":
        return f"<{'.'.join(argument)}>"
    return f"<{argument}>"


def use_key(key_arn: str, *, write: bool) -> Permission:
    """What SSE-KMS asks of whoever reads, or reads and writes, what the key encrypts."""
    actions = ["kms:Decrypt", "kms:DescribeKey", *(["kms:GenerateDataKey"] if write else [])]
    return allow("UseKey", actions, [key_arn])


def ask_lake_formation() -> Permission:
    """What reading a table takes where Lake Formation is in charge of it; without it, it is never asked."""
    return allow(
        "AskLakeFormation",
        ["lakeformation:GetDataAccess"],
        ["*"],
        reason="The action knows no resource; Lake Formation's own grants decide, where it is in charge.",
    )


def read_streams(settings: Settings) -> list[Permission]:
    """What reading the streams of tables with keys of their own asks for besides."""
    keys = settings.stream_key_arns
    return [allow("UseStreamKeys", ["kms:Decrypt"], keys)] if keys else []


def consume(queue_arn: str, *, sid: str = "ConsumeQueue") -> Permission:
    """What an event source mapping on a queue asks of the function's role."""
    actions = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
    ]
    return allow(sid, actions, [queue_arn])


def write_logs(log_group_arn: str) -> Permission:
    """The group itself is made by the stack, with its retention: the function may only write into it."""
    return allow(
        "WriteLogs",
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        [f"{log_group_arn}:*"],
        reason="Lambda names the streams of the function's own log group.",
    )
