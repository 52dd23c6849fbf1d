"""A FHIR population from a seed, by clinosim and what `companions` and `details` add, as one NDJSON file per resource type.

The same size and seed give the same resources, so a population is made once and kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from local.sample.companions import write_companions
from local.sample.details import write_details

Resource = dict[str, Any]

_END = "2026-06-30"
"""The last simulated day: fixed, or the same seed would give other data tomorrow."""
_CATCHMENT_PER_PATIENT = 1.7
_CATCHMENT_MORE = 4
"""Two in three people of the simulated catchment become patients within the year; those beyond the number
asked for are the newcomers of later rounds."""
_REPOSITORY = Path(__file__).parents[2]
_PATIENT = re.compile(r'"Patient/([^"/]+)"')


class PopulationError(RuntimeError):
    """Raised when the generator fails; the message holds the end of what it printed."""


@dataclass(frozen=True)
class Population:
    """The generated resources: ``folder`` holds one ``<Type>.ndjson`` per resource type."""

    folder: Path

    @cached_property
    def patient_ids(self) -> tuple[str, ...]:
        """Ids of the patients, in an order that the seed shuffles but a later run repeats."""
        with (self.folder / "Patient.ndjson").open(encoding="utf-8") as lines:
            ids = [str(json.loads(line)["id"]) for line in lines]
        return tuple(sorted(ids, key=lambda each: hashlib.sha256(each.encode()).digest()))

    def of_patients(self, ids: frozenset[str], *, shared: bool, kind: str = "[A-Z]*") -> Iterator[Resource]:
        """The resources, all or of one type, that concern these patients and no other; by type, in the
        generator's order.

        With ``shared``, those that concern no patient as well (practitioners, organizations, locations).
        """
        for file in sorted(self.folder.glob(f"{kind}.ndjson")):
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    concerned = _patients_of_line(line, file.stem)
                    if (concerned and concerned <= ids) or (shared and not concerned):
                        yield json.loads(line)


def _patients_of_line(line: str, kind: str) -> frozenset[str]:
    """`patients_of` a line of NDJSON, which is not parsed unless it is a patient itself."""
    referred = frozenset(_PATIENT.findall(line))
    return referred | {str(json.loads(line)["id"])} if kind == "Patient" else referred


def patients_of(resource: Mapping[str, Any]) -> frozenset[str]:
    """Ids of the patients a resource is or refers to."""
    referred = frozenset(_PATIENT.findall(json.dumps(resource)))
    return referred | {str(resource["id"])} if resource["resourceType"] == "Patient" else referred


def generate_population(patients: int, seed: int, cache: Path) -> Population:
    """``patients`` patients and about a sixth more, with a year of care; made once, then read from ``cache``.

    Raises
    ------
    PopulationError : the generator failed
    """
    folder = cache / f"population-{patients}-{seed}"
    if not (folder / "Patient.ndjson").is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _run_generator(patients, seed, Path(work))
            write_companions(Path(work) / "fhir_r4")
            write_details(Path(work) / "fhir_r4")
            shutil.rmtree(folder, ignore_errors=True)
            (Path(work) / "fhir_r4").rename(folder)
    return Population(folder)


def _run_generator(patients: int, seed: int, work: Path) -> None:
    command = [
        sys.executable,
        *("-m", "local.sample.generator", "simulate", "--country", "US", "--format", "fhir-r4"),
        *("--end", _END, "--seed", str(seed)),
        *(
            "--population",
            str(max(10, round(patients * _CATCHMENT_PER_PATIENT) + _CATCHMENT_MORE)),
            "--output",
            str(work),
        ),
    ]
    environment = {**os.environ, "CLINOSIM_LOG_LEVEL": "WARNING", "PYTHONPATH": str(_REPOSITORY)}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (work / "fhir_r4" / "Patient.ndjson").is_file():
        tail = "\n".join((done.stderr or done.stdout).splitlines()[-5:])
        raise PopulationError(f"clinosim could not generate {patients} patients (seed {seed}):\n{tail}")
