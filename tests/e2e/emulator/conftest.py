from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.settings import Settings
from local.deploy import StackOutputs, deploy
from local.emulator import Emulator
from local.emulator.environment import Options
from local.healthlake.client import HealthLakeClient
from local.healthlake.launcher import HealthLake
from tests.conftest import PATIENCE
from tests.e2e.emulator.signed_in import sign_in
from tests.unit.infra.assemblies import SHARED

SHARED_ASSEMBLY = SHARED / "local.cdk.out"


def until(done: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator without a stack, for the contracts of single services."""
    with Emulator(tmp_path_factory.mktemp("contracts") / "emulator") as running:
        yield running


@dataclass(frozen=True)
class Deployed:
    """The whole stack on an emulator that enforces every role."""

    emulator: Emulator
    healthlake: HealthLake
    settings: Settings
    outputs: StackOutputs

    @property
    def healthlake_client(self) -> HealthLakeClient:
        return HealthLakeClient(self.healthlake.url, self.healthlake.datastore_id)

    def deploy(self, settings: Settings, said: list[str]) -> StackOutputs:
        return deploy(self.emulator, settings, said.append, out=SHARED_ASSEMBLY)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    state: Path = tmp_path_factory.mktemp("deployed") / ".watershed"
    with Emulator(state / "emulator", Options(enforce_iam=True)) as running:
        healthlake = HealthLake(
            state=state / "healthlake", s3_endpoint=running.endpoint, events_endpoint=running.endpoint
        )
        healthlake.start()
        try:
            settings = Settings.local(healthlake.url, healthlake.datastore_id, deidentified_twin="shift")
            outputs = deploy(running, settings, out=SHARED_ASSEMBLY)
            yield Deployed(running, healthlake, settings, outputs)
        finally:
            healthlake.stop()


@pytest.fixture(scope="session")
def engineer(deployed: Deployed) -> str:
    """The access token of an engineer."""
    return _access_token(deployed, "engineer")


@pytest.fixture(scope="session")
def analyst(deployed: Deployed) -> str:
    """The access token of an analyst."""
    return _access_token(deployed, "analyst")


@pytest.fixture(scope="session")
def nobody(deployed: Deployed) -> str:
    """The access token of a user without a group."""
    return _access_token(deployed, "")


def _access_token(deployed: Deployed, group: str) -> str:
    return str(sign_in(deployed, f"test-{group or 'nobody'}", group)["AccessToken"])
