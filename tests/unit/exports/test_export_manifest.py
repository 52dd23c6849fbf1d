"""Manifests: where each file lands, and what has landed."""

from __future__ import annotations

import json

import pytest

from lambdas.shared.export_manifest import (
    ExportRun,
    UnknownFileError,
    all_files,
    landing_prefixes,
    manifest,
    with_landed,
)
from lambdas.shared.healthlake_client import (
    ExportDescription,
    ExportFile,
    UnreadableReplyError,
    parse_description,
)

RUN = ExportRun(
    "ab" * 16, "d" * 32, "2026-01-31T23:59:59.999Z", "incremental", (), "2026-01-01T00:00:00.000Z"
)
FOLDER = f"s3://exports/exports/{'d' * 32}-FHIR_EXPORT-{'ab' * 16}/"


def described(**more: object) -> ExportDescription:
    reply = {
        "exportJobProperties": {
            "jobId": "ab" * 16,
            "jobStatus": "COMPLETED",
            "submitTime": "Jan 1, 2026 1:00:00 AM",
        },
        "output": [{"type": "Patient", "url": f"{FOLDER}Patient/Patient-971340731094998775-1-0.ndjson"}],
        "error": [],
        **more,
    }
    return parse_description(json.loads(json.dumps(reply)))


def test_files_land_in_hive_partitions_of_the_day_the_export_was_asked_for() -> None:
    (file,) = manifest(RUN, described())["files"]
    assert file["key"] == (
        f"fhir/resource_type=Patient/export_date=2026-01-31/export_id={'ab' * 16}/"
        "Patient-971340731094998775-1-0.ndjson"
    )


def test_deletions_and_errors_land_out_of_the_crawlers_sight() -> None:
    made = manifest(
        RUN,
        described(
            deleted=[{"type": "Bundle", "url": f"{FOLDER}deleted/d-1.ndjson"}],
            error=[{"type": "OperationOutcome", "url": f"{FOLDER}error/e-1.ndjson"}],
        ),
    )
    assert made["deleted"][0]["key"] == f"fhir/_exports/{'ab' * 16}/deleted/d-1.ndjson"
    assert made["errors"][0]["key"] == f"fhir/_exports/{'ab' * 16}/error/e-1.ndjson"
    assert len(all_files(made)) == len(landing_prefixes(all_files(made))) == 3


@pytest.mark.parametrize(
    "file",
    [
        ExportFile("../Patient", f"{FOLDER}x.ndjson"),
        ExportFile("Patient", "https://example.com/x.ndjson"),
        ExportFile("Patient", f"{FOLDER}"),
        ExportFile("Patient", f"{FOLDER}a b.ndjson"),
    ],
)
def test_a_file_that_cannot_be_ours_is_refused(file: ExportFile) -> None:
    with pytest.raises(UnknownFileError):
        manifest(RUN, ExportDescription("j", "COMPLETED", output=(file,)))


def test_what_has_not_landed_is_missing() -> None:
    made = manifest(RUN, described())
    key = made["files"][0]["key"]
    assert with_landed(made, {})[1] == [key]
    complete, missing = with_landed(made, {key: (12, "e1")})
    assert missing == []
    assert complete["files"] == [{**made["files"][0], "size": 12, "etag": "e1"}]


@pytest.mark.parametrize(
    "reply", [None, {}, {"exportJobProperties": {}}, {"exportJobProperties": {"jobId": "x"}}]
)
def test_a_reply_that_lacks_its_parts_is_unreadable(reply: object) -> None:
    with pytest.raises(UnreadableReplyError):
        parse_description(reply)
