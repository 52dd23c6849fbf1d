"""Exports that have landed, by the manifests that the export workflow leaves when every file is there.

A manifest lies at ``fhir/_manifests/year=…/month=…/day=…/<job id>.json``, by the day on which its export had
landed; the files it names are elsewhere below ``fhir/``::

    {"job_id", "status", "submitted_at", "mode", "types": [], "since",
     "files": [{"type", "key", "size"}], "deleted": [{"key", "size"}], "errors": [{"key", "size"}]}

With ``"kind": "listing"`` it is none of HealthLake's exports but our list of what exists of one type: its
lines are identities, which tell what is gone and nothing else (``lambdas/find_fhir_changes``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.lake.errors import LakeError, Terminal
from glue_jobs.lake.ledger import news, object_key, uris
from glue_jobs.lake.listing import LandingObject, list_objects
from glue_jobs.lake.run import Run

MANIFESTS = "fhir/_manifests/"
EXPORT_FILES = "fhir/_exports/"
"""Below here lie an export's lists of deletions and its errors, which are no resources."""


class ManifestError(LakeError, Terminal):
    """Raised when a manifest is not one, or a file that it names is not there as it says."""


@dataclass(frozen=True)
class ExportFile:
    """A landed file: its key, the resource type of its lines (empty for a list of deletions), its bytes."""

    key: str
    type: str
    size: int


@dataclass(frozen=True)
class Export:
    """An export that has landed.

    Attributes
    ----------
    submitted_at : when it was asked for, by the asker's clock: what was written before it is in it
    listing : its files hold identities, not resources
    complete : HealthLake exported everything that was asked
    full : it holds every resource (of ``types``; empty: of all) that existed
    """

    id: str
    submitted_at: datetime
    full: bool
    complete: bool
    types: tuple[str, ...]
    files: tuple[ExportFile, ...]
    deleted: tuple[ExportFile, ...]
    listing: bool = False

    @property
    def reconciles(self) -> bool:
        """What it lacks is gone."""
        return self.full and self.complete

    def covers(self, resource_type: str) -> bool:
        """Does it hold all of this type?"""
        return not self.types or resource_type in self.types


def new_exports(run: Run) -> tuple[list[Export], Sequence[LandingObject]]:
    """The exports that the job has not consumed, in the order they were asked for, and what is to be recorded
    once they are in the table.

    Raises
    ------
    ManifestError : naming the manifest or the file
    """
    found = news(run, MANIFESTS, (".json",))
    only = run.arguments.export_id
    objects = [each for each in found.objects if only in (None, export_of(each.key))]
    exports = read_exports(run.spark, run.arguments.landing_uri, objects)
    check_files(run.spark, run.arguments.landing_uri, exports)
    return exports, objects if only else found.consumed


def export_of(manifest_key: str) -> str:
    """The id of the export that a manifest is of."""
    return manifest_key.rpartition("/")[2].removesuffix(".json")


def read_exports(spark: SparkSession, landing_uri: str, objects: Sequence[LandingObject]) -> list[Export]:
    """Read manifests, in the order in which their exports were asked for. Raises ManifestError."""
    if not objects:
        return []
    texts = spark.read.text(uris(objects, landing_uri), wholetext=True)
    rows = texts.select(object_key(landing_uri).alias("key"), "value").collect()
    # A commit that was repeated at midnight left a manifest on either day.
    exports = {each.id: each for each in (parse_export(row.key, row.value) for row in rows)}
    return sorted(exports.values(), key=lambda export: (export.submitted_at, export.id))


def parse_export(key: str, text: str) -> Export:
    """Read one manifest. Raises ManifestError that names it."""
    try:
        manifest: Mapping[str, Any] = json.loads(text)
        submitted_at = datetime.fromisoformat(manifest["submitted_at"])
        return Export(
            id=str(manifest["job_id"]),
            submitted_at=submitted_at if submitted_at.tzinfo else submitted_at.replace(tzinfo=UTC),
            full=manifest["mode"] == "full" and not manifest.get("since"),
            complete=manifest.get("status", "COMPLETED") == "COMPLETED" and not manifest.get("errors"),
            types=tuple(manifest.get("types") or ()),
            files=_files(manifest, "files"),
            deleted=_files(manifest, "deleted"),
            listing=manifest.get("kind") == "listing",
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(
            f"{key} is not an export's manifest ({type(error).__name__})",
            "Run the export again, or remove the manifest so that the job passes it over",
        ) from None


def check_files(spark: SparkSession, landing_uri: str, exports: Iterable[Export]) -> None:
    """Is every file there, with its size? Raises ManifestError before anything is read."""
    for export in exports:
        files = (*export.files, *export.deleted)
        folders = sorted({file.key.rpartition("/")[0] + "/" for file in files})
        listed = [each for folder in folders for each in list_objects(spark, landing_uri, folder)]
        there = {each.key: each.size for each in listed}
        for file in files:
            if there.get(file.key) != file.size:
                raise ManifestError(
                    f"{file.key} of export {export.id} is missing, or not the {file.size} bytes that landed",
                    "Run the export again with mode full",
                )


def _files(manifest: Mapping[str, Any], part: str) -> tuple[ExportFile, ...]:
    return tuple(
        ExportFile(str(file["key"]), str(file["type"]), int(file["size"]))
        for file in manifest.get(part) or ()
    )
