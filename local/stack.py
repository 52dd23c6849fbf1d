"""The local stack as the commands see it: the emulator, the HealthLake simulator, and what is deployed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glue_jobs.curation import DATA_DOCS
from infra.settings import Settings
from local.emulator.process import Emulator
from local.errors import NotDeployed, NotUp
from local.healthlake import DATASTORE_ID
from local.healthlake.client import HealthLakeClient
from local.healthlake.launcher import HealthLake
from local.state import State

CHOICES = (
    "WATERSHED_CHANGE_FEED",
    "WATERSHED_CRAWL",
    "WATERSHED_DEIDENTIFIED_TWIN",
    "WATERSHED_RESOURCE_EVENTS",
)
"""What of a deployment can be chosen on a laptop, as on AWS; account, sizes and waits are the laptop's own."""


def chosen(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that the environment chooses for a laptop. Raises SettingsError."""
    return Settings.in_variables({name: environment[name] for name in CHOICES if name in environment})


@dataclass(frozen=True)
class Stack:
    """The two processes behind a local lake, up or not."""

    state: State

    @cached_property
    def emulator(self) -> Emulator:
        return Emulator(self.state.emulator)

    @cached_property
    def healthlake(self) -> HealthLake:
        """The simulator; its export files and events go to the emulator.

        Raises
        ------
        EmulatorError : the emulator was never started
        """
        endpoint = self.emulator.endpoint
        return HealthLake(self.state.healthlake, s3_endpoint=endpoint, events_endpoint=endpoint)

    @cached_property
    def settings(self) -> Settings:
        """Settings of the local deployment; the HealthLake endpoint is the simulator's.

        Raises
        ------
        SettingsError : a variable that is one of `CHOICES` has a value that is none
        """
        return Settings.local(self.healthlake.url, DATASTORE_ID, **chosen(os.environ))

    @property
    def is_up(self) -> bool:
        return self.emulator.is_running()

    @property
    def is_deployed(self) -> bool:
        return self.state.stack_file.is_file()

    def require_up(self) -> Stack:
        """This stack, when it is up.

        Raises
        ------
        NotUp : the emulator does not run
        """
        if not self.is_up:
            raise NotUp
        return self

    def require_deployed(self) -> Stack:
        """This stack, when it is up and deployed.

        Raises
        ------
        NotUp, NotDeployed : it is not
        """
        self.require_up()
        if not self.is_deployed:
            raise NotDeployed
        return self

    def client(self, service: str) -> Any:
        """A boto3 client of a service of the emulator."""
        return self.emulator.client(service)

    @cached_property
    def fhir(self) -> HealthLakeClient:
        """A client of the simulator's data store."""
        return HealthLakeClient(self.healthlake.url, DATASTORE_ID)

    @property
    def export_machine_arn(self) -> str:
        return self.settings.arn("states", f"stateMachine:{self.settings.name('export')}")

    @property
    def data_docs(self) -> Path | None:
        """The page on what the tables' audits found; None until `curate` has written it."""
        page = self.state.mirror / self.settings.bucket("docs") / DATA_DOCS
        return page if page.is_file() else None

    @property
    def workflow(self) -> str:
        """The Glue workflow's name."""
        return self.settings.prefix

    def start(self) -> None:
        """Start both processes; what runs already is left as it is."""
        self.emulator.start()
        self.healthlake.start()

    def stop(self) -> None:
        """End both, and all they started."""
        if (self.state.emulator / "port").is_file():
            self.healthlake.stop()
        self.emulator.stop()

    def purge(self) -> None:
        """Stop, and remove every trace."""
        self.stop()
        shutil.rmtree(self.state.root, ignore_errors=True)
