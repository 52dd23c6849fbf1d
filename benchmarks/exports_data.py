"""Landed exports of any size: a clinosim population repeated with new ids, as HealthLake would write it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from local.sample.population import Population, generate_population

PATIENTS, SEED = 200, 1
LINES_PER_FILE = 5_000
"""HealthLake's."""
CHANGED_ONE_IN = 100
EXPORT_TIMES = ("2026-07-01T00:00:00.000Z", "2026-07-02T00:00:00.000Z")
_WRITTEN, _CHANGED = "2026-06-30T12:00:00.000Z", "2026-07-01T12:00:00.000Z"


@dataclass
class Landed:
    """Two exports that lie in a landing zone, unseen until ``commit`` writes their manifests."""

    landing: Path
    bytes: int = 0
    files: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"full": [], "changes": []})

    @property
    def full(self) -> list[str]:
        """Keys of the full export's files."""
        return [str(file["key"]) for file in self.files["full"]]

    def commit(self, export: str, submitted_at: str) -> None:
        """Write an export's manifest."""
        manifest = {
            "job_id": export, "status": "COMPLETED", "submitted_at": submitted_at, "mode": "incremental",
            "since": None, "types": [], "files": self.files[export], "deleted": [], "errors": [],
        }  # fmt: skip
        path = self.landing / "fhir" / "_exports" / f"{export}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))


def land_population(landing: Path, size: int, cache: Path) -> Landed:
    """Write about ``size`` bytes of resources, and every hundredth of them again in a second version."""
    population = generate_population(PATIENTS, SEED, cache)
    landed = Landed(landing)
    writers: dict[tuple[str, str], _Writer] = {}
    for number, (resource_type, first, second) in enumerate(_lines(population)):
        landed.bytes += len(first)
        _writer(landed, writers, "full", resource_type).write(first)
        if number % CHANGED_ONE_IN == 0:
            _writer(landed, writers, "changes", resource_type).write(second)
        if landed.bytes >= size:
            break
    for writer in writers.values():
        writer.close()
    return landed


def _lines(population: Population) -> Iterator[tuple[str, bytes, bytes]]:
    """Type, line, and the line of a later version; the population again and again, each time with new ids."""
    everyone = frozenset(population.patient_ids)
    for copy in itertools.count():
        for resource in population.of_patients(everyone, shared=True):
            resource["id"] = f"{str(resource['id'])[:56]}-{copy}"
            lines = []
            for version, moment in (("1", _WRITTEN), ("2", _CHANGED)):
                resource["meta"] = {
                    **resource.get("meta", {}), "versionId": version, "lastUpdated": moment,
                }  # fmt: skip
                lines.append(json.dumps(resource, separators=(",", ":")).encode() + b"\n")
            yield str(resource["resourceType"]), lines[0], lines[1]


def _writer(
    landed: Landed, writers: dict[tuple[str, str], _Writer], export: str, resource_type: str
) -> _Writer:
    if (export, resource_type) not in writers:
        writers[export, resource_type] = _Writer(landed, export, resource_type)
    return writers[export, resource_type]


class _Writer:
    """Writes the files of one resource type of one export, a new one after every 5,000 lines."""

    def __init__(self, landed: Landed, export: str, resource_type: str) -> None:
        self._landed, self._export, self._type = landed, export, resource_type
        self._lines = 0
        self._file: IO[bytes] | None = None

    def write(self, line: bytes) -> None:
        if self._file is None or self._lines == LINES_PER_FILE:
            self.close()
            self._open()
        assert self._file is not None
        self._file.write(line)
        self._lines += 1

    def _open(self) -> None:
        number = len(self._landed.files[self._export])
        folder = f"fhir/resource_type={self._type}/export_date=2026-07-01/export_id={self._export}"
        self._key = f"{folder}/{self._type}-1-{number}.ndjson"
        path = self._landed.landing / self._key
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._lines = path.open("wb"), 0
        self._entry: dict[str, Any] = {"type": self._type, "key": self._key, "size": 0}
        self._landed.files[self._export].append(self._entry)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._entry["size"] = (self._landed.landing / self._key).stat().st_size
            self._file = None
