"""The log group of a service that delivers its logs itself."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.functions import Surroundings, retention


def vended_log_group(scope: Construct, given: Surroundings, service: str, name: str) -> logs.LogGroup:
    """Encrypted, kept as long as the settings say, and gone with the stack.

    Under ``/aws/vendedlogs/`` the account's one resource policy for log delivery does not grow with each group:
    https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
    """
    return logs.LogGroup(
        scope,
        "Logs",
        log_group_name=f"/aws/vendedlogs/{service}/{name}",
        retention=retention(given.settings),
        encryption_key=given.key,
        removal_policy=RemovalPolicy.DESTROY,
    )
