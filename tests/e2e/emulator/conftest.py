from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def until(done: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    """Wait for something; `what` tells, where it does not come, how things stand instead."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what()}"
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

    def settle(self) -> None:
        """Return once nothing is going on that a test began: what an export set off besides is stopped."""
        until(lambda: not self.exports(), self.exports)
        self._stop_workflow_runs()

    def exports(self) -> list[str]:
        """The names of those that run: one at a time does, and another's would be passed over."""
        states, machine = self.emulator.client("stepfunctions"), self.outputs["StateMachineArn"]
        running = states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        return [each["name"] for each in running]

    def connections(self) -> list[dict[str, Any]]:
        """The roster of the socket; whoever leaves is taken off it a moment later."""
        scanned = self.emulator.client("dynamodb").scan(TableName=self.settings.name("connections"))
        return list(scanned["Items"])

    def _stop_workflow_runs(self) -> None:
        """That jobs run is tested with them; here they would take the processor, and make tables, beside other tests."""
        glue, name = self.emulator.client("glue"), self.outputs["WorkflowName"]

        def going() -> dict[str, str]:
            runs = glue.get_workflow_runs(Name=name)["Runs"]
            return {
                each["WorkflowRunId"]: each["Status"]
                for each in runs
                if each["Status"] in ("RUNNING", "STOPPING")
            }

        for run_id in going():
            with contextlib.suppress(glue.exceptions.IllegalWorkflowStateException):  # ended just then
                glue.stop_workflow_run(Name=name, RunId=run_id)
        until(lambda: not going(), going)


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


@pytest.fixture(autouse=True)
def _leave_nothing_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """The stack is shared, by tests that run in any order."""
    shared = request.getfixturevalue("deployed") if "deployed" in request.fixturenames else None
    yield
    if shared is not None:
        shared.settle()


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
