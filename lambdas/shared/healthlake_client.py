"""HealthLake's exports: start, describe, cancel, find again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.shared.healthlake_http import (
    HealthLakeThrottledError,
    HealthLakeUnavailableError,
    SignedHttp,
)

WAITING: Final = frozenset({"SUBMITTED", "QUEUED", "IN_PROGRESS", "RUNNING"})
"""A job in one of these will end by itself. RUNNING is not in the API's list but was seen in replies."""
CANCELLING: Final = frozenset({"CANCEL_SUBMITTED", "CANCEL_IN_PROGRESS"})
DONE: Final = frozenset({"COMPLETED", "COMPLETED_WITH_ERRORS"})
FAILED: Final = frozenset({"FAILED", "CANCEL_COMPLETED", "CANCEL_FAILED"})

_JOB_ID: Final = re.compile(r"[0-9a-f]{32}")


class ExportJobsApi(Protocol):
    """The one call that boto3's HealthLake client is needed for (its stubs are not installed)."""

    def list_fhir_export_jobs(self, *, DatastoreId: str, JobName: str) -> Mapping[str, Any]:
        """ListFHIRExportJobs."""


class UnreadableReplyError(Exception):
    """Raised when HealthLake's reply lacks what it is documented to have; names the missing part."""


@dataclass(frozen=True)
class ExportFile:
    """One file of an export: the resource type in it and its `s3://` address."""

    type: str
    url: str


@dataclass(frozen=True)
class ExportDescription:
    """An export job as HealthLake describes it.

    Its times are left out: they are locale text without a zone, so nothing may depend on them.
    """

    job_id: str
    status: str
    output: tuple[ExportFile, ...] = ()
    deleted: tuple[ExportFile, ...] = ()
    errors: tuple[ExportFile, ...] = ()


@dataclass(frozen=True)
class ExportOrder:
    """What to export: empty `types` means all, empty `since` everything."""

    job_name: str
    output_uri: str
    kms_key_arn: str
    role_arn: str
    types: tuple[str, ...] = ()
    since: str = ""


@dataclass(frozen=True)
class HealthLake:
    """The exports of one data store."""

    http: SignedHttp
    sdk: ExportJobsApi
    datastore_id: str

    @property
    def _base(self) -> str:
        return f"/datastore/{self.datastore_id}/r4"

    def start_export(self, order: ExportOrder) -> str:
        """The id of a new export job. Raises HealthLakeError, UnreadableReplyError."""
        query = {
            name: value
            for name, value in (("_since", order.since), ("_type", ",".join(order.types)))
            if value
        }
        body = {
            "JobName": order.job_name,
            "OutputDataConfig": {
                "S3Configuration": {"S3Uri": order.output_uri, "KmsKeyId": order.kms_key_arn}
            },
            "DataAccessRoleArn": order.role_arn,
        }
        # `$` is left bare in the path: SigV4 signs it encoded, as every AWS service but S3 expects.
        path = f"{self._base}/$export" + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": "application/fhir+json", "Prefer": "respond-async"}
        reply = self.http.call("$export", "POST", path, json.dumps(body).encode(), headers)
        try:
            job_id = str(reply.json()["jobId"])
        except (ValueError, KeyError, TypeError):
            # The header says the same: .../r4/export/<job id>
            job_id = reply.headers.get("content-location", "").rpartition("/")[2]
        if not _JOB_ID.fullmatch(job_id):
            raise UnreadableReplyError("$export answered without a job id")
        return job_id

    def describe_export(self, job_id: str) -> ExportDescription:
        """The job's state and, when it is done, its files. Raises HealthLakeError, UnreadableReplyError."""
        reply = self.http.call("DescribeExport", "GET", f"{self._base}/export/{job_id}")
        try:
            return parse_description(reply.json())
        except ValueError as error:
            raise UnreadableReplyError("DescribeExport answered something that is not JSON") from error

    def cancel_export(self, job_id: str) -> None:
        """Ask the job to stop. Raises HealthLakeError."""
        self.http.call("CancelExport", "DELETE", f"{self._base}/export/{job_id}")

    def find_export(self, job_name: str) -> str | None:
        """The id of the newest job of this name that has not failed, or None. Raises HealthLakeError.

        The REST API lists nothing, so this is the SDK's call. Not all of its replies may be filtered by
        name, hence the check.
        """
        try:
            reply = self.sdk.list_fhir_export_jobs(DatastoreId=self.datastore_id, JobName=job_name)
        except ClientError as error:
            name, status = _sdk_error(error)
            kind = HealthLakeThrottledError if "Throttl" in name else HealthLakeUnavailableError
            raise kind("ListExports", status, name) from None
        except BotoCoreError as error:
            raise HealthLakeUnavailableError("ListExports", 0, type(error).__name__) from None
        jobs = [
            job
            for job in reply["ExportJobPropertiesList"]
            if job.get("JobName") == job_name and job["JobStatus"] not in FAILED
        ]
        newest = max(jobs, key=lambda job: job["SubmitTime"], default=None)
        return newest["JobId"] if newest else None


def parse_description(body: Any) -> ExportDescription:
    """Read the REST describe reply. Raises UnreadableReplyError."""
    try:
        properties = body["exportJobProperties"]
        return ExportDescription(
            job_id=str(properties["jobId"]),
            status=str(properties["jobStatus"]),
            output=_files(body, "output"),
            deleted=_files(body, "deleted"),
            errors=_files(body, "error"),
        )
    except (KeyError, TypeError) as error:
        raise UnreadableReplyError(f"DescribeExport lacks {error}") from None


def health_lake(environment: Mapping[str, str] = os.environ) -> HealthLake:
    """The data store that the environment names: HEALTHLAKE_ENDPOINT, DATASTORE_ID, AWS_REGION."""
    http = signed_http(environment)
    sdk: ExportJobsApi = boto3.client(
        "healthlake",
        region_name=http.region,
        endpoint_url=http.endpoint,
        config=Config(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "max_attempts": 3}),
    )
    return HealthLake(http, sdk, environment["DATASTORE_ID"])


def signed_http(environment: Mapping[str, str] = os.environ) -> SignedHttp:
    """The connection that the environment names: HEALTHLAKE_ENDPOINT, AWS_REGION."""
    endpoint = environment["HEALTHLAKE_ENDPOINT"].rstrip("/")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    credentials = boto3.Session(region_name=region).get_credentials()
    if credentials is None:
        raise HealthLakeUnavailableError("credentials", 0, "NoCredentials")
    return SignedHttp(endpoint, region, credentials, urllib3.PoolManager(maxsize=2))


def _files(body: Mapping[str, Any], name: str) -> tuple[ExportFile, ...]:
    return tuple(ExportFile(str(file["type"]), str(file["url"])) for file in body.get(name) or ())


def _sdk_error(error: ClientError) -> tuple[str, int]:
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
