"""Where the local stack keeps what it knows: one folder, ``.watershed/``, in the working folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

STATE_FOLDER = ".watershed"
STATE_VARIABLE = "WATERSHED_STATE"


@dataclass(frozen=True)
class State:
    """Paths below the state folder."""

    root: Path

    @property
    def emulator(self) -> Path:
        return self.root / "emulator"

    @property
    def healthlake(self) -> Path:
        return self.root / "healthlake"

    @property
    def mirror(self) -> Path:
        """Spark's view of ``s3://``: one folder per bucket."""
        return self.root / "mirror"

    @property
    def cloud_assembly(self) -> Path:
        """The synthesized CloudFormation and its assets."""
        return self.root / "cdk.out"

    @property
    def stack_file(self) -> Path:
        """What is deployed: the stacks' outputs."""
        return self.root / "stack.json"

    @property
    def population(self) -> Path:
        """Generated FHIR populations, by size and seed."""
        return self.root / "population"

    @property
    def sample_file(self) -> Path:
        """Which population was seeded, and how many rounds of changes came after."""
        return self.root / "sample.json"


def find_state() -> State:
    """The state of the working folder, or of ``WATERSHED_STATE``."""
    return State(Path(os.environ.get(STATE_VARIABLE) or STATE_FOLDER).absolute())
