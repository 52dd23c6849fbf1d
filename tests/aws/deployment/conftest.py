"""An account as a first deployment finds it: moto for all but HealthLake, which is answered by a stub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from infra.preflight import BOOTSTRAP_PARAMETER
from infra.settings import Settings
from tests.unit.infra.assemblies import ON_AWS

DATASTORE = {
    "DatastoreId": ON_AWS.healthlake_datastore_id,
    "DatastoreArn": f"arn:aws:healthlake:eu-west-1:123456789012:datastore/{ON_AWS.healthlake_datastore_id}",
    "DatastoreStatus": "ACTIVE",
    "DatastoreTypeVersion": "R4",
    "DatastoreEndpoint": "https://healthlake.eu-west-1.amazonaws.com/datastore/x/r4/",
}


@dataclass
class World:
    """The account, its settings, and what its data store is said to be; no store where that is None."""

    settings: Settings
    datastore: dict[str, str] | None
    protection: list[dict[str, Any]] = field(default_factory=list)
    """Calls of `UpdateTerminationProtection`, which moto does not know."""

    def client(self, service: str) -> Any:
        made: Any = boto3.client(service, region_name=self.settings.region)
        if service == "healthlake":
            stub = Stubber(made)
            if self.datastore is None:
                stub.add_client_error("describe_fhir_datastore", "ResourceNotFoundException")
            else:
                stub.add_response("describe_fhir_datastore", {"DatastoreProperties": self.datastore})
            stub.activate()
        if service == "cloudformation":
            made.update_termination_protection = lambda **call: self.protection.append(call)
        return made

    def change(self, **settings: Any) -> None:
        self.settings = replace(self.settings, **settings)

    def bootstrap(self, version: str = "21") -> None:
        self.client("ssm").put_parameter(Name=BOOTSTRAP_PARAMETER, Value=version, Type="String")

    def make_table(self, name: str, keys: tuple[tuple[str, str], ...], view: str | None) -> str:
        """A table as somebody else made it; its stream's ARN."""
        made = self.client("dynamodb").create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": role}
                for (key, _), role in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}} if view else {}),
        )
        return str(made["TableDescription"].get("LatestStreamArn", ""))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Bootstrapped, with an active data store and nothing else."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        made = World(ON_AWS, dict(DATASTORE))
        made.bootstrap()
        yield made


@pytest.fixture
def problems(world: World) -> Callable[[], list[str]]:
    """What keeps the account from being deployed to."""

    def found() -> list[str]:
        from infra.preflight import PreflightError, check_account

        try:
            check_account(world.settings, world.client)
        except PreflightError as refusal:
            return refusal.problems
        return []

    return found
