"""Events per FHIR resource: the bus that others subscribe to, and the function that tells of an export."""

from __future__ import annotations

from aws_cdk import aws_events as events
from constructs import Construct

from infra.functions import PackagedFunction, Surroundings
from infra.policies import allow
from infra.storage import Storage

_PUBLISH_TIMEOUT_SECONDS = 900
"""A file of 5,000 resources takes half a minute; one of 1 GB some minutes."""


class ResourceEvents(Construct):
    """The bus `watershed-resources`. Its events name resources and hold nothing of their content."""

    def __init__(self, scope: Construct, id_: str, given: Surroundings, storage: Storage) -> None:
        super().__init__(scope, id_)
        name = given.settings.name("resources")
        self.bus = events.CfnEventBus(
            self, "Bus", name=name, description="FHIR resources that changed, by type and id"
        )
        arn = given.settings.arn("events", f"event-bus/{name}")
        self.publish = PackagedFunction(
            self,
            "Publish",
            given,
            "publish_resources",
            {"LANDING_BUCKET": storage.landing.bucket_name, "EVENT_BUS": name},
            [
                allow(
                    "ReadLanded",
                    ["s3:GetObject"],
                    [storage.landing.arn_for_objects("fhir/*")],
                    reason="Objects are named for the export and the file they belong to, under this one prefix.",
                ),
                allow("Publish", ["events:PutEvents"], [arn]),
            ],
            timeout_seconds=_PUBLISH_TIMEOUT_SECONDS,
        )
        self.publish.node.add_dependency(self.bus)
