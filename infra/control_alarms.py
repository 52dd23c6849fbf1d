"""Alarms of the control plane, each with its entry in docs/runbook.md. They ring on the outcomes topic."""

from __future__ import annotations

from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarm import Counted, Limit, alarm
from infra.api.description import STAGE
from infra.settings import Settings

SOME = 5
"""Within five minutes: single failures are asked again, and a disabled analyst who signs in is one, too."""


class ControlAlarms(Construct):
    """The API's own errors, and functions that nobody gets past when they fail."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, topic: sns.Topic) -> None:
        super().__init__(scope, id_)
        api = {"ApiName": settings.name("control"), "Stage": STAGE}
        alarm(
            self,
            settings,
            topic,
            "control-api-errors",
            f"The control plane's API answered {SOME} requests or more with an error of its own",
            Counted("AWS/ApiGateway", "5XXError", api),
            Limit(SOME),
        )
        for suffix, function, what in (
            ("sign-in", "shape-token", "Signing in to the control plane"),
            ("connect", "keep-roster", "Connecting to the control plane's socket"),
        ):
            alarm(
                self,
                settings,
                topic,
                f"control-{suffix}-errors",
                f"{what} failed {SOME} times or more",
                Counted("AWS/Lambda", "Errors", {"FunctionName": settings.name(function)}),
                Limit(SOME),
            )
