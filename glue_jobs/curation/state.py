"""What a curated table was made from, kept in the snapshot that holds its rows.

Data and watermark are one commit, so a run that is killed can neither lose a change nor count it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glue_jobs.lake.run import RUN_ID_PROPERTY
from glue_jobs.lake.tables import snapshot_properties

_DEFINITION = "watershed.definition"
_INPUT = "watershed.input."


@dataclass(frozen=True)
class Consumed:
    """How far an input was read: its snapshot (None: it had none) and the greatest run id seen in it."""

    snapshot_id: int | None = None
    run_id: str = ""


@dataclass(frozen=True)
class TableState:
    """``definition`` is the fingerprint of the view or model; ``inputs`` are by table, ``zone.name``."""

    definition: str = ""
    inputs: Mapping[str, Consumed] = field(default_factory=dict)

    def properties(self, run_id: str) -> dict[str, str]:
        """As snapshot properties."""
        found = {RUN_ID_PROPERTY: run_id, _DEFINITION: self.definition}
        for name, consumed in self.inputs.items():
            snapshot = "" if consumed.snapshot_id is None else str(consumed.snapshot_id)
            found[f"{_INPUT}{name}"] = f"{snapshot}/{consumed.run_id}"
        return found


def read_state(table: Any, snapshot_id: int | None = None) -> TableState:
    """The state of an Iceberg table as ``main`` shows it, or as it was at a snapshot.

    An empty state where nothing was published yet, or where the snapshot is gone.
    """
    found = snapshot_properties(table, snapshot_id)
    inputs = {
        name[len(_INPUT) :]: _consumed(value) for name, value in found.items() if name.startswith(_INPUT)
    }
    return TableState(found.get(_DEFINITION, ""), inputs)


def _consumed(value: str) -> Consumed:
    snapshot, _, run_id = value.partition("/")
    return Consumed(int(snapshot) if snapshot else None, run_id)
