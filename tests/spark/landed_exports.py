"""Landed exports for the tests of ``conform_fhir``, and what they should make, in plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.conform.fhir import conform_fhir
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import Run, job_run
from lambdas.shared.export_manifest import landed_key

START = datetime(2026, 3, 1, tzinfo=UTC)


def moment(second: float) -> datetime:
    return START + timedelta(seconds=second)


def instant(second: float) -> str:
    return moment(second).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(type_: str, id_: str, version: int | None, second: float | None, **more: Any) -> str:
    """A resource as a line; without version or time where they are None."""
    meta = {"versionId": str(version)} if version is not None else {}
    if second is not None:
        meta["lastUpdated"] = instant(second)
    return json.dumps({"resourceType": type_, "id": id_, "meta": meta, **more})


def deletions(*references: str) -> str:
    entries = [{"request": {"method": "DELETE", "url": reference}} for reference in references]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


@dataclass(frozen=True)
class LandedExport:
    """An export: lines by resource type, deleted references."""

    id: str
    second: float
    lines: Mapping[str, Sequence[str]]
    full: bool = False
    types: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    status: str = "COMPLETED"
    per_file: int = 1000


@dataclass
class FhirLake:
    """A landing zone and a catalog of one test."""

    spark: SparkSession
    landing: Path
    landing_uri: str
    catalog: str
    runs: list[Run] = field(default_factory=list)

    def land(self, export: LandedExport) -> None:
        """Write the export's files and then its manifest, as the workflow does."""
        day = f"{moment(export.second):%Y-%m-%d}"
        files = []
        for type_, lines in export.lines.items():
            for start in range(0, len(lines), export.per_file):
                folder = f"fhir/resource_type={type_}/export_date={day}/export_id={export.id}"
                key = f"{folder}/{type_}-1-{start}.ndjson"
                files.append(self.write(key, type_, lines[start : start + export.per_file]))
        deleted = []
        if export.deleted:
            key = f"fhir/_exports/{export.id}/deleted/Bundle-1-0.ndjson"
            deleted.append(self.write(key, "Bundle", [deletions(*export.deleted)]))
        manifest = {
            "job_id": export.id,
            "status": export.status,
            "submitted_at": instant(export.second),
            "mode": "full" if export.full else "incremental",
            "types": list(export.types),
            "since": None,
            "files": files,
            "deleted": deleted,
            "errors": [],
        }
        path = self.landing / landed_key(export.id, moment(export.second))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))

    def manifest(self, export_id: str) -> Path:
        """Where the manifest of a landed export is."""
        (path,) = (self.landing / "fhir/_manifests").rglob(f"{export_id}.json")
        return path

    def write(self, key: str, type_: str, lines: Iterable[str | bytes]) -> dict[str, Any]:
        """Write one file; its entry in a manifest."""
        content = b"".join((each.encode() if isinstance(each, str) else each) + b"\n" for each in lines)
        path = self.landing / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return {"type": type_, "key": key, "size": len(content)}

    def conform(self, *, full: bool = False) -> Run:
        """Run the job over what is new."""
        arguments = JobArguments(self.landing_uri, catalog=self.catalog, full=full)
        with job_run(self.spark, arguments, "conform_fhir") as run:
            self.runs.append(run)
            conform_fhir(run)
        return run

    def rows(self) -> dict[str, dict[str, Any]]:
        """The table by ``Type/id``; times as text in UTC."""
        frame = self.spark.table(f"{self.catalog}.watershed_conformed.fhir_resource")
        texts = frame.withColumns(
            {name: frame[name].cast("string") for name in ("last_updated", "changed_at")}
        )
        rows = [row.asDict() for row in texts.collect()]
        found = {f"{row['resource_type']}/{row['id']}": row for row in rows}
        assert len(found) == len(rows), "a resource has two rows"
        return found

    def state(self) -> dict[str, str | None]:
        """The text of each resource, None where it is deleted."""
        return {key: row["resource"] for key, row in self.rows().items()}

    def quarantined(self) -> list[tuple[str, int, str]]:
        """Object, line and reason of what was set aside, sorted."""
        table = f"{self.catalog}.watershed_ops.quarantine"
        if not self.spark.catalog.tableExists(table):
            return []
        return sorted((row.object_key, row.line, row.reason) for row in self.spark.table(table).collect())

    def snapshots(self) -> int:
        """Commits to the table so far."""
        return self.spark.table(f"{self.catalog}.watershed_conformed.fhir_resource.snapshots").count()


def expected_state(exports: Iterable[LandedExport]) -> dict[str, str | None]:
    """What exports mean, taken in the order in which they were submitted: one resource at a time."""
    held: dict[str, tuple[float, str | None]] = {}
    for export in sorted(exports, key=lambda each: (each.second, each.id)):
        present = set()
        for type_, lines in export.lines.items():
            for text in lines:
                resource = json.loads(text)
                key = f"{type_}/{resource['id']}"
                present.add(key)
                at = datetime.fromisoformat(resource["meta"]["lastUpdated"]) - START
                if key not in held or held[key][0] < at.total_seconds():
                    held[key] = (at.total_seconds(), text)
        for key in export.deleted:
            if key not in present and held.get(key, (-1.0, None))[0] < export.second:
                held[key] = (export.second, None)
        if export.full and export.status == "COMPLETED":
            for key, (at_second, text_or_none) in list(held.items()):
                covered = not export.types or key.partition("/")[0] in export.types
                if covered and key not in present and text_or_none is not None and at_second < export.second:
                    held[key] = (export.second, None)
    return {key: text for key, (_, text) in held.items()}
