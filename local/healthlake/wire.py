"""Export requests and job descriptions on the wire: FHIR REST in camelCase, the SDK in PascalCase."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from local.healthlake.clock import instant, locale_date, now_ms, parse_instant
from local.healthlake.errors import ValidationError
from local.healthlake.exports import ExportJob, ExportRequest

TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_NDJSON: Final = ("ndjson", "application/ndjson", "application/fhir+ndjson", "application/fhir ndjson")


@dataclass(frozen=True)
class Request:
    """One HTTP request. Header names as http.client gives them, looked up without regard to case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def export_request(request: Request) -> ExportRequest:
    asked = json_object(request.body)
    output = asked.get("OutputDataConfig", {}).get("S3Configuration", {})
    name, role = asked.get("JobName", ""), asked.get("DataAccessRoleArn", "")
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    unknown = set(query) - {"_since", "_until", "_type", "_outputFormat"}
    types = tuple(part for part in query.get("_type", "").split(",") if part)
    problems = [
        (not str(output.get("S3Uri", "")).startswith("s3://"), "OutputDataConfig.S3Configuration.S3Uri"),
        (not output.get("KmsKeyId"), "OutputDataConfig.S3Configuration.KmsKeyId"),
        (not str(role).startswith("arn:aws:iam::"), "DataAccessRoleArn"),
        (not 0 <= len(str(name)) <= 64, "JobName (1 to 64 characters)"),
        (bool(unknown), f"query parameters {sorted(unknown)} (not modelled)"),
        (any(not TYPE.fullmatch(part) for part in types), "_type"),
        (query.get("_outputFormat", "ndjson") not in _NDJSON, "_outputFormat"),
    ]
    wrong = [what for bad, what in problems if bad]
    if wrong:
        raise ValidationError(f"invalid: {', '.join(wrong)}")
    return ExportRequest(
        job_name=str(name),
        s3_uri=output["S3Uri"],
        kms_key=output["KmsKeyId"],
        role=str(role),
        url=f"https://{request.headers.get('Host', '')}{quote(request.path, safe='/$')}?{request.query}",
        types=types,
        since=_moment(query, "_since"),
        until=_moment(query, "_until"),
    )


def _moment(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    try:
        return parse_instant(query[name])
    except ValueError as error:
        raise ValidationError(f"{name} takes an instant such as 2026-01-31T00:00:00Z") from error


def brief(job: ExportJob) -> dict[str, str]:
    return {"datastoreId": job.datastore_id, "jobStatus": job.status, "jobId": job.id}


def describe_rest(job: ExportJob) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "jobId": job.id,
        "jobName": job.request.job_name,
        "jobStatus": job.status,
        "submitTime": locale_date(job.submitted),
        "datastoreId": job.datastore_id,
        "outputDataConfig": {"s3Configuration": {"s3Uri": job.folder, "kmsKeyId": job.request.kms_key}},
        "dataAccessRoleArn": job.request.role,
    }
    if job.ended is not None:
        properties["endTime"] = locale_date(job.ended)
    if job.message:
        properties["message"] = job.message
    described: dict[str, Any] = {"exportJobProperties": properties}
    if job.status.startswith("COMPLETED"):
        described |= {
            "transactionTime": instant(now_ms()),  # as observed: the time of this call, not of the export
            "request": job.request.url,
            "requiresAccessToken": False,
            "output": list(job.output),
            "error": list(job.errors),
        }
        if job.deleted:
            described["deleted"] = list(job.deleted)
    return described


def describe_sdk(job: ExportJob) -> dict[str, Any]:
    described: dict[str, Any] = {
        "JobId": job.id,
        "JobName": job.request.job_name,
        "JobStatus": job.status,
        "SubmitTime": job.submitted / 1000,
        "DatastoreId": job.datastore_id,
        "OutputDataConfig": {"S3Configuration": {"S3Uri": job.folder, "KmsKeyId": job.request.kms_key}},
        "DataAccessRoleArn": job.request.role,
    }
    if job.ended is not None:
        described["EndTime"] = job.ended / 1000
    if job.message:
        described["Message"] = job.message
    return described


def json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise ValidationError("the body is not JSON") from error
    if not isinstance(parsed, dict):
        raise ValidationError("the body is not a JSON object")
    return parsed
