"""Runs by the clock, beside those that follow exports."""

from __future__ import annotations

import json

from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.policies import allow, role
from infra.settings import Settings

_BUSY_SECONDS = 900
"""For as long a start is tried again: an export's run may go on, and one runs at a time."""


class RunSchedule(Construct):
    """Starts the workflow as `run_schedule` says. A schedule of its own and no trigger of Glue's: a workflow has one
    start trigger, and that is the one for exports and people."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, workflow: str) -> None:
        super().__init__(scope, id_)
        name = settings.name("run-schedule")
        starter = role(
            self,
            name,
            iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": settings.account}},
            ),
            "The schedule assumes this to start runs of the workflow",
            [
                allow(
                    "StartWorkflow", ["glue:StartWorkflowRun"], [settings.arn("glue", f"workflow/{workflow}")]
                )
            ],
        )
        scheduler.CfnSchedule(
            self,
            "Schedule",
            name=name,
            description="Starts a run of the Glue workflow",
            schedule_expression=settings.run_schedule,
            schedule_expression_timezone="UTC",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn="arn:aws:scheduler:::aws-sdk:glue:startWorkflowRun",
                role_arn=starter.role_arn,
                input=json.dumps({"Name": workflow, "RunProperties": {"reason": "schedule"}}),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=_BUSY_SECONDS, maximum_retry_attempts=10
                ),
            ),
        )
