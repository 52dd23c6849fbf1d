"""Import jobs: NDJSON from S3 into the store, one after another, without a call per resource."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lambdas.shared import fhir_text
from local.healthlake.clock import now_ms
from local.healthlake.errors import NotFound, ValidationError
from local.healthlake.store import Store

_ROLE: Final = "arn:aws:iam::"


class Source(Protocol):
    """Where import files come from."""

    def read(self, bucket: str, prefix: str) -> Iterable[bytes]:
        """The bodies of the objects below a prefix, by key."""


@dataclass(frozen=True)
class ImportJob:
    """An import that has ended. `wrong` counts lines that are no resource with a type and an id."""

    id: str
    asked: Mapping[str, Any]
    status: str
    submitted: int
    ended: int
    imported: int
    wrong: int

    def described(self) -> dict[str, Any]:
        """`ImportJobProperties` of the API."""
        names = ("JobName", "DatastoreId", "InputDataConfig", "JobOutputDataConfig", "DataAccessRoleArn")
        return {
            **{name: self.asked[name] for name in names if name in self.asked},
            "JobId": self.id,
            "JobStatus": self.status,
            "SubmitTime": self.submitted / 1000,
            "EndTime": self.ended / 1000,
            "JobProgressReport": {
                "TotalNumberOfResourcesScanned": self.imported + self.wrong,
                "TotalNumberOfResourcesImported": self.imported,
                "TotalNumberOfResourcesWithCustomerError": self.wrong,
            },
        }


class Imports:
    """The import jobs of this process; each has ended when its call returns."""

    def __init__(self, store: Store, source: Source) -> None:
        self._store, self._source = store, source
        self._jobs: dict[str, ImportJob] = {}
        self._one = threading.Lock()

    def run(self, asked: Mapping[str, Any]) -> ImportJob:
        """Import what `StartFHIRImportJob` asks for. Raises ValidationError."""
        uri = str(asked.get("InputDataConfig", {}).get("S3Uri", ""))
        output = asked.get("JobOutputDataConfig", {}).get("S3Configuration", {})
        wrong = [
            name
            for good, name in (
                (uri.startswith("s3://"), "InputDataConfig.S3Uri"),
                (bool(output.get("S3Uri") and output.get("KmsKeyId")), "JobOutputDataConfig"),
                (str(asked.get("DataAccessRoleArn", "")).startswith(_ROLE), "DataAccessRoleArn"),
            )
            if not good
        ]
        if wrong:
            raise ValidationError(f"invalid: {', '.join(wrong)}")
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        with self._one:
            submitted = now_ms()
            found = [self._store_lines(body) for body in self._source.read(bucket, prefix)]
            imported, refused = (sum(counts) for counts in zip(*found, strict=True)) if found else (0, 0)
            status = "COMPLETED_WITH_ERRORS" if refused else "COMPLETED"
            job = ImportJob(
                secrets.token_hex(16), dict(asked), status, submitted, now_ms(), imported, refused
            )
            self._jobs[job.id] = job
            return job

    def job(self, job_id: str) -> ImportJob:
        """Raises NotFound."""
        if job_id not in self._jobs:
            raise NotFound(f"import job {job_id}")
        return self._jobs[job_id]

    def _store_lines(self, body: bytes) -> tuple[int, int]:
        """How many lines of a file were stored, and how many were not."""
        imported = wrong = 0
        with self._store.transaction():
            for line in body.splitlines():
                try:
                    resource = fhir_text.loads(line)
                    self._store.update(resource["resourceType"], resource["id"], resource)
                    imported += 1
                except (ValueError, KeyError, TypeError):
                    wrong += 1
        return imported, wrong
