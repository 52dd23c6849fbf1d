"""Land the files of an export, one invocation per file, and then the export itself.

Invoked by the state machine with one of

- `{"land": {"type": "Patient", "url": "s3://…", "key": "fhir/…"}}`: copy that file. No byte of it passes
  through the function. Answers `{"key", "size", "etag", "copied"}`.
- `{"commit": "<key of the manifest in the exports bucket>"}`: check that every file has landed, then write
  the manifest with their sizes and ETags to `fhir/_manifests/year=…/month=…/day=…/<job id>.json` of the
  landing zone, which is what makes the export visible to the jobs. Answers `{"key", "files", "bytes"}`.

Environment: EXPORTS_BUCKET, LANDING_BUCKET; and, with their defaults, EXPORT_PREFIX (`exports/`),
MANIFEST_PREFIX (`manifests/`). Both requests may be repeated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from lambdas.land_export.copier import Copier
from lambdas.shared.export_manifest import all_files, landed_key, landing_prefixes, with_landed
from lambdas.shared.logger import make_logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = make_logger("land_export", "key", "size", "copied", "files", "bytes", "job_id")


class ForeignFileError(Exception):
    """Raised when asked for a file outside the exports, or to land one outside the FHIR zone."""


class IncompleteExportError(Exception):
    """Raised when files of an export have not landed; says how many, and names the first."""


@dataclass(frozen=True)
class Lander:
    """Lands exports; its parts are passed in so that tests can choose them."""

    copier: Copier
    s3: S3Client
    exports_bucket: str
    landing_bucket: str
    export_prefix: str
    manifest_prefix: str

    def land(self, file: Mapping[str, str]) -> dict[str, Any]:
        """Copy one file. Raises ForeignFileError, and what the copier raises."""
        root = f"s3://{self.exports_bucket}/"
        source = file["url"].removeprefix(root)
        if not file["url"].startswith(root + self.export_prefix) or not file["key"].startswith("fhir/"):
            raise ForeignFileError(f"{file['url']} -> {file['key']}: not a file of an export of ours")
        copied = self.copier.copy(source, file["key"])
        logger.info("landed", key=copied.key, size=copied.size, copied=copied.copied)
        return {"key": copied.key, "size": copied.size, "etag": copied.etag, "copied": copied.copied}

    def commit(self, manifest_key: str) -> dict[str, Any]:
        """Make the export visible. Raises IncompleteExportError where a file is missing."""
        if not manifest_key.startswith(self.manifest_prefix):
            raise ForeignFileError(f"{manifest_key}: not a manifest")
        body = self.s3.get_object(Bucket=self.exports_bucket, Key=manifest_key)["Body"].read()
        manifest: dict[str, Any] = json.loads(body)
        complete, missing = with_landed(manifest, self._landed(manifest))
        if missing:
            raise IncompleteExportError(f"{len(missing)} files have not landed; the first is {missing[0]}")
        key = landed_key(manifest["job_id"], datetime.now(UTC))
        self.s3.put_object(
            Bucket=self.landing_bucket,
            Key=key,
            Body=json.dumps(complete).encode(),
            ContentType="application/json",
        )
        files = all_files(complete)
        answer = {"key": key, "files": len(files), "bytes": sum(int(file["size"]) for file in files)}
        logger.info("export landed", job_id=manifest["job_id"], files=answer["files"], bytes=answer["bytes"])
        return answer

    def _landed(self, manifest: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
        """Size and ETag by key of what lies in the export's folders; a call per thousand files."""
        landed: dict[str, tuple[int, str]] = {}
        pages = self.s3.get_paginator("list_objects_v2")
        for prefix in landing_prefixes(all_files(manifest)):
            for page in pages.paginate(Bucket=self.landing_bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    landed[found["Key"]] = (found["Size"], found["ETag"].strip('"'))
        return landed


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda's entry. Raises, so that the state machine retries or fails."""
    lander = make_lander()
    return lander.land(event["land"]) if "land" in event else lander.commit(event["commit"])


@cache
def make_lander() -> Lander:
    """The lander that the environment describes; kept while the function is warm."""
    env = os.environ
    # A copy of 5 GB is one call that answers when it is done.
    s3 = boto3.client("s3", config=Config(read_timeout=600, retries={"mode": "standard", "max_attempts": 5}))
    exports, landing = env["EXPORTS_BUCKET"], env["LANDING_BUCKET"]
    return Lander(
        Copier(s3, exports, landing),
        s3,
        exports,
        landing,
        env.get("EXPORT_PREFIX", "exports/"),
        env.get("MANIFEST_PREFIX", "manifests/"),
    )
