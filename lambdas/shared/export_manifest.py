"""The manifest of an export: which files HealthLake wrote, and where each one lands.

HealthLake writes none, so this one is ours. As JSON::

    {"job_id": "…", "status": "COMPLETED", "submitted_at": "2026-01-31T08:15:00.123Z",
     "mode": "incremental" | "full", "since": "…" | null, "types": [], "datastore_id": "…",
     "files": [{"type": "Patient", "url": "s3://…", "key": "fhir/resource_type=Patient/…"}],
     "deleted": […], "errors": […]}

Its copy in the landing zone, written when every file has landed, has each file's `size` and `etag` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lambdas.shared.healthlake_client import ExportDescription, ExportFile
from lambdas.shared.hive import day_path, partition_path

_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_OBJECT: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")
EXPORT_FILES: Final = "fhir/_exports/"
"""Under here in the landing zone lies, in a folder of its own, what an export has besides resources."""
_MANIFESTS: Final = "fhir/_manifests/"


class UnknownFileError(Exception):
    """Raised when an export names a file that cannot be one of its own; names the file's address."""


@dataclass(frozen=True)
class ExportRun:
    """What is known of an export beside HealthLake's description. Times are ISO 8601 in UTC.

    `submitted_at` is read from our clock *before* the export is submitted: whatever changed before it is
    in the export, so a resource older than it that a full export lacks is gone.
    """

    job_id: str
    datastore_id: str
    submitted_at: str
    mode: str
    types: tuple[str, ...]
    since: str


def manifest(run: ExportRun, description: ExportDescription) -> dict[str, Any]:
    """The manifest. Raises UnknownFileError where a file's type or name is not one that can be landed."""
    folder = f"{EXPORT_FILES}{run.job_id}/"
    return {
        "job_id": run.job_id,
        "status": description.status,
        "submitted_at": run.submitted_at,
        "mode": run.mode,
        "since": run.since or None,
        "types": list(run.types),
        "datastore_id": run.datastore_id,
        "files": [_entry(file, output_key(run, file)) for file in description.output],
        "deleted": [_entry(file, f"{folder}deleted/{_name(file)}") for file in description.deleted],
        "errors": [_entry(file, f"{folder}error/{_name(file)}") for file in description.errors],
    }


def landed_key(job_id: str, moment: datetime) -> str:
    """Where the manifest of an export goes that has landed completely: into the folder of that day, so that jobs
    find what is new without listing what is old."""
    return f"{_MANIFESTS}{day_path(moment)}{job_id}.json"


def all_files(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every file of a manifest, whatever its part."""
    return [*manifest["files"], *manifest["deleted"], *manifest["errors"]]


def output_key(run: ExportRun, file: ExportFile) -> str:
    """`fhir/resource_type=Patient/export_date=2026-01-31/export_id=…/Patient-123-1-0.ndjson`."""
    if not _TYPE.fullmatch(file.type):
        raise UnknownFileError(f"{file.url}: its type is not a FHIR resource type")
    day = datetime.fromisoformat(run.submitted_at).astimezone(UTC).date().isoformat()
    path = partition_path([("resource_type", file.type), ("export_date", day), ("export_id", run.job_id)])
    return f"fhir/{path}{_name(file)}"


def landing_prefixes(files: Iterable[Mapping[str, str]]) -> list[str]:
    """The folders that files land in, each once, sorted."""
    return sorted({file["key"].rpartition("/")[0] + "/" for file in files})


def with_landed(
    manifest: Mapping[str, Any], landed: Mapping[str, tuple[int, str]]
) -> tuple[dict[str, Any], list[str]]:
    """The manifest with the size and ETag of each landed file, and the keys that are missing."""
    missing = [file["key"] for file in all_files(manifest) if file["key"] not in landed]
    complete = dict(manifest)
    for part in ("files", "deleted", "errors"):
        complete[part] = [
            {**file, "size": landed[file["key"]][0], "etag": landed[file["key"]][1]}
            for file in manifest[part]
            if file["key"] in landed
        ]
    return complete, missing


def _entry(file: ExportFile, key: str) -> dict[str, str]:
    return {"type": file.type, "url": file.url, "key": key}


def _name(file: ExportFile) -> str:
    name = file.url.rpartition("/")[2]
    if not file.url.startswith("s3://") or not _OBJECT.fullmatch(name):
        raise UnknownFileError(f"{file.url}: not the address of an S3 object")
    return name
