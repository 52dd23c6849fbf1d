"""Landed exports of any size: a clinosim population repeated with new ids, as HealthLake would write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from lambdas.shared.export_manifest import landed_key
from local.sample.population import Population, generate_population

PATIENTS, SEED = 200, 1
LINES_PER_FILE = 5_000
"""HealthLake's."""
FULL = "full"
ONE_PERCENT: Mapping[str, int] = MappingProxyType({"changes": 100})
EXPORT_TIMES = ("2026-07-01T00:00:00.000Z", "2026-07-02T00:00:00.000Z")
_WRITTEN, _CHANGED = "2026-06-30T12:00:00.000Z", "2026-07-01T12:00:00.000Z"
_REFERENCE = re.compile(r'"reference":"([A-Z][A-Za-z]+/[^"]{1,56})[^"]*"')


@dataclass
class Landed:
    """Exports that lie in a landing zone, unseen until ``commit`` writes their manifests.

    ``files`` are by export: ``full``, and each set of changes by its name. ``copies`` are the patients, by
    their ids in the population, that each copy of it holds.
    """

    landing: Path
    bytes: int = 0
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    copies: list[frozenset[str]] = field(default_factory=list)

    @property
    def full(self) -> list[str]:
        """Keys of the full export's files."""
        return [str(file["key"]) for file in self.files[FULL]]

    def commit(self, export: str, submitted_at: str) -> None:
        """Write an export's manifest."""
        manifest = {
            "job_id": export, "status": "COMPLETED", "submitted_at": submitted_at, "mode": "incremental",
            "since": None, "types": [], "files": self.files.get(export, []), "deleted": [], "errors": [],
        }  # fmt: skip
        path = self.landing / manifest_key(export, submitted_at)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))


def manifest_key(export: str, submitted_at: str) -> str:
    """Where the manifest of an export goes that landed when it was submitted."""
    return landed_key(export, datetime.fromisoformat(submitted_at))


def land_population(
    landing: Path, size: int, cache: Path, changes: Mapping[str, int] = ONE_PERCENT
) -> Landed:
    """Write about ``size`` bytes of resources, and some of them again in a second version.

    Parameters
    ----------
    changes : by the name of a further export, of how many resources it holds one
    """
    population = generate_population(PATIENTS, SEED, cache)
    landed = Landed(landing)
    writers: dict[tuple[str, str], _Writer] = {}
    for number, (resource_type, line) in enumerate(_lines(population, size, landed)):
        landed.bytes += len(line)
        _writer(landed, writers, FULL, resource_type).write(line)
        for export, one_in in changes.items():
            if number % one_in == 0:
                _writer(landed, writers, export, resource_type).write(_second_version(line))
    for writer in writers.values():
        writer.close()
    return landed


def copied_id(id_: str, copy: int) -> str:
    """The id that a resource of the population has in a copy."""
    return f"{id_[:56]}-{copy}"


def _lines(population: Population, size: int, landed: Landed) -> Iterator[tuple[str, bytes]]:
    """Type and line: the population again and again, each time with new ids, until ``size`` is reached; the
    last time as many of its patients as are missing."""
    patients = population.patient_ids
    whole = sum(file.stat().st_size for file in population.folder.glob("*.ndjson"))
    for copy in range(-(-size // whole)):
        share = min(1.0, (size - copy * whole) / whole)
        held = frozenset(patients[: max(1, round(share * len(patients)))])
        landed.copies.append(held)
        for resource in population.of_patients(held, shared=True):
            resource["id"] = copied_id(str(resource["id"]), copy)
            resource["meta"] = {**resource.get("meta", {}), "versionId": "1", "lastUpdated": _WRITTEN}
            text = json.dumps(resource, separators=(",", ":"))
            text = _REFERENCE.sub(rf'"reference":"\g<1>-{copy}"', text)
            yield str(resource["resourceType"]), text.encode() + b"\n"


def _second_version(line: bytes) -> bytes:
    resource = json.loads(line)
    resource["meta"] |= {"versionId": "2", "lastUpdated": _CHANGED}
    return json.dumps(resource, separators=(",", ":")).encode() + b"\n"


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
        files = self._landed.files.setdefault(self._export, [])
        folder = f"fhir/resource_type={self._type}/export_date=2026-07-01/export_id={self._export}"
        self._key = f"{folder}/{self._type}-1-{len(files)}.ndjson"
        path = self._landed.landing / self._key
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._lines = path.open("wb"), 0
        self._entry: dict[str, Any] = {"type": self._type, "key": self._key, "size": 0}
        files.append(self._entry)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._entry["size"] = (self._landed.landing / self._key).stat().st_size
            self._file = None
