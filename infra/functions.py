"""A function: its package, its role, its log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.packaging import fingerprint, package_function
from infra.policies import Permission, accept, role, use_key, write_logs
from infra.settings import Settings

_STANDING = {
    "LambdaConcurrency": "Shards, queues and the state machine's map bound how many run at once; a reservation"
    " would take the account's concurrency from others, and could starve a stream.",
    "LambdaDLQ": "Streams, queues, pipes and the state machine keep what failed, and have failure destinations of"
    " their own. What an event tells poll_export besides, its queue asks again.",
    "LambdaInsideVPC": "Functions call AWS's own endpoints only, with TLS and signed requests; they listen to"
    " nothing, and hold no connection into a private network.",
}


@dataclass(frozen=True)
class Surroundings:
    """What every construct that makes functions is given: settings, key, and where packages are built."""

    settings: Settings
    key: kms.IKey
    build: Path


class PackagedFunction(Construct):
    """The function of `lambdas/<folder>`, named `watershed-<folder with dashes>`."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        folder: str,
        environment: Mapping[str, str],
        permissions: Sequence[Permission],
        *,
        timeout_seconds: int = 60,
        memory_mb: int = 256,
    ) -> None:
        super().__init__(scope, id_)
        settings = given.settings
        name = settings.name(folder.replace("_", "-"))
        package = package_function(folder, given.build)
        group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention=retention(settings),
            encryption_key=given.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        execution = role(
            self,
            name,
            iam.ServicePrincipal("lambda.amazonaws.com"),
            f"Execution role of {name}",
            [
                *permissions,
                use_key(given.key.key_arn, write=True),
                write_logs(settings.arn("logs", f"log-group:/aws/lambda/{name}")),
            ],
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=f"lambdas/{folder} of Watershed",
            # The Python of Glue 5.1: functions and jobs read the same schemas, and are tested, on one
            # version.
            runtime=lambda_.Runtime.PYTHON_3_11,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"lambdas.{folder}.handler.handler",
            code=lambda_.Code.from_asset(str(package)),
            role=execution,
            timeout=Duration.seconds(timeout_seconds),
            memory_size=memory_mb,
            log_group=group,
            environment_encryption=given.key,
            environment={
                **environment,
                # For `landed_by`: tells which code landed a change, without a release being cut for it.
                "FUNCTION_VERSION": fingerprint([package])[:12],
                "LOG_LEVEL": "INFO",
            },
        )
        accept(
            self.function,
            "AwsSolutions-L1",
            "Python 3.11 is what Glue 5.1 runs: the shared schemas are tested on that version.",
        )
        for rule, reason in _STANDING.items():
            accept(self.function, f"HIPAA.Security::HIPAA.Security-{rule}", reason)

    @property
    def arn(self) -> str:
        return self.function.function_arn


def retention(settings: Settings) -> logs.RetentionDays:
    """The enumeration's member for a number of days."""
    names = {
        1: "ONE_DAY", 3: "THREE_DAYS", 5: "FIVE_DAYS", 7: "ONE_WEEK", 14: "TWO_WEEKS", 30: "ONE_MONTH",
        60: "TWO_MONTHS", 90: "THREE_MONTHS", 120: "FOUR_MONTHS", 150: "FIVE_MONTHS", 180: "SIX_MONTHS",
        365: "ONE_YEAR", 400: "THIRTEEN_MONTHS", 545: "EIGHTEEN_MONTHS", 731: "TWO_YEARS",
        1096: "THREE_YEARS", 1827: "FIVE_YEARS", 2192: "SIX_YEARS", 3653: "TEN_YEARS",
    }  # fmt: skip
    return logs.RetentionDays[names[settings.log_retention_days]]
