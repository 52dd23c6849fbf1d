"""A state machine from its Amazon States Language file, with its placeholders filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.functions import Surroundings
from infra.policies import Permission, allow, role
from infra.vended_logs import vended_log_group

DEFINITIONS = Path(__file__).parent / "state_machines"

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


class DefinitionError(ValueError):
    """Raised when a definition is not there, is not JSON, or has a placeholder that nothing fills."""


def read_definition(file: Path, known: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The definition as compact JSON, and those of the `known` placeholders that it uses.

    Raises
    ------
    DefinitionError : naming the file, and the placeholder or the line
    """
    if not file.exists():
        raise DefinitionError(f"{file}: no such state machine definition")
    text = file.read_text(encoding="utf-8")
    used = sorted(set(_PLACEHOLDER.findall(text)))
    unknown = [name for name in used if name not in known]
    if unknown:
        raise DefinitionError(
            f"{file}: nothing fills {', '.join('${' + name + '}' for name in unknown)}; "
            f"known are {', '.join(sorted(known))}"
        )
    try:
        definition = json.loads(text)
    except json.JSONDecodeError as error:
        raise DefinitionError(f"{file}: line {error.lineno} is not JSON: {error.msg}") from None
    return json.dumps(definition, separators=(",", ":")), {name: known[name] for name in used}


class DefinedStateMachine(Construct):
    """A state machine, logged and traced, whose role is exactly `permissions` and what logging asks.

    An `express` one answers whoever starts it, and is not kept.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        name: str,
        file: Path,
        substitutions: Mapping[str, Any],
        permissions: Sequence[Permission],
        *,
        express: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        settings = given.settings
        definition, used = read_definition(file, substitutions)
        group = vended_log_group(self, given, "states", name)
        self.role = role(
            self,
            name,
            iam.ServicePrincipal(
                "states.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": settings.account}},
            ),
            f"Execution role of state machine {name}",
            [*permissions, *_logging(), *_tracing()],
        )
        self.arn = settings.arn("states", f"stateMachine:{name}")
        self.resource = stepfunctions.CfnStateMachine(
            self,
            "StateMachine",
            state_machine_name=name,
            state_machine_type="EXPRESS" if express else "STANDARD",
            definition_string=definition,
            definition_substitutions=used,
            role_arn=self.role.role_arn,
            logging_configuration=stepfunctions.CfnStateMachine.LoggingConfigurationProperty(
                level="ALL",
                # Inputs and outputs hold no health data, but need not be in logs either.
                include_execution_data=False,
                destinations=[
                    stepfunctions.CfnStateMachine.LogDestinationProperty(
                        cloud_watch_logs_log_group=stepfunctions.CfnStateMachine.CloudWatchLogsLogGroupProperty(
                            log_group_arn=group.log_group_arn
                        )
                    )
                ],
            ),
            tracing_configuration=stepfunctions.CfnStateMachine.TracingConfigurationProperty(enabled=True),
        )


def _logging() -> list[Permission]:
    return [
        allow(
            "DeliverLogs",
            [
                "logs:CreateLogDelivery",
                "logs:GetLogDelivery",
                "logs:UpdateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:DescribeResourcePolicies",
                "logs:DescribeLogGroups",
            ],
            ["*"],
            reason="The service has no resources to name for these actions.",
        )
    ]


def _tracing() -> list[Permission]:
    return [
        allow(
            "Trace",
            [
                "xray:PutTraceSegments",
                "xray:PutTelemetryRecords",
                "xray:GetSamplingRules",
                "xray:GetSamplingTargets",
            ],
            ["*"],
            reason="The service has no resources to name for these actions.",
        )
    ]
