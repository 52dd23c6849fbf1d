"""What each request does: paths of the FHIR REST API, targets of the AWS JSON API, and the admin paths."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from lambdas.shared import fhir_text
from lambdas.shared.fhir_search import CONSISTENCY_HEADER
from local.healthlake.bundles import process_bundle
from local.healthlake.clock import now_ms
from local.healthlake.errors import NotFound, SimulatorError, Throttled, Unavailable, ValidationError
from local.healthlake.exports import STATES, Exports
from local.healthlake.faults import FaultPlan
from local.healthlake.imports import Imports
from local.healthlake.notices import Trail, call_event
from local.healthlake.quotas import Quotas
from local.healthlake.search import history_bundle, parse_search, run_search
from local.healthlake.sigv4 import check_signature
from local.healthlake.store import Indexed, Store, Version
from local.healthlake.wire import (
    TYPE,
    Request,
    brief,
    describe_rest,
    describe_sdk,
    export_request,
    json_object,
)

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
FHIR_JSON: Final = "application/fhir+json"


@dataclass(frozen=True)
class Reply:
    """One HTTP reply. `drop` closes the connection without sending it."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = FHIR_JSON
    drop: bool = False


class Api:
    """The simulator behind its HTTP server."""

    def __init__(
        self,
        store: Store,
        exports: Exports,
        imports: Imports,
        faults: FaultPlan,
        quotas: Quotas,
        *,
        datastore_id: str,
    ) -> None:
        self.trail: Trail | None = None
        self._store, self._exports, self._imports = store, exports, imports
        self._faults, self._quotas = faults, quotas
        self._datastore_id = datastore_id
        self._base = f"/datastore/{datastore_id}/r4"

    def answer(self, request: Request) -> Reply:
        """The reply, refusals included. Never raises a SimulatorError."""
        try:
            if request.path.startswith("/_simulator/"):
                return self._admin(request)
            check_signature(request.headers)
            self._misbehave()
            if request.path == "/":
                return self._json_api(request)
            return self._rest(request)
        except SimulatorError as error:
            return _refusal(request, error)

    def _misbehave(self) -> None:
        if self._faults.use("throttle"):
            raise Throttled("Rate exceeded")
        if self._faults.use("server_errors"):
            raise Unavailable("An internal error occurred")

    # FHIR REST

    def _rest(self, request: Request) -> Reply:
        prefix, _, rest = request.path.partition("/r4")
        if prefix != f"/datastore/{self._datastore_id}":
            raise NotFound(f"data store in {prefix}")
        parts = [part for part in rest.split("/") if part]
        match (request.method, parts):
            case ("POST", []):
                self._quotas.spend("write")
                return Reply(200, process_bundle(self._store, _resource(request)))
            case ("POST", ["$export"]):
                return self._start_export(request)
            case ("GET", ["export", job_id]):
                self._quotas.spend("describe_export")
                return Reply(200, json.dumps(describe_rest(self._exports.job(job_id))))
            case ("DELETE", ["export", job_id]):
                job = self._exports.cancel(job_id)
                return Reply(202, json.dumps(brief(job)))
            case (_, [name, *_]) if TYPE.fullmatch(name):
                return self._resources(request, parts)
        raise _not_modelled(request)

    def _resources(self, request: Request, parts: list[str]) -> Reply:
        for id_ in parts[1:2]:
            if id_ != "_search" and not _ID.fullmatch(id_):
                raise ValidationError("a resource id has 1 to 64 characters of A-Z a-z 0-9 - .")
        searches = request.method == "POST" and parts[1:] == ["_search"]
        answer = self._read if request.method == "GET" or searches else self._write
        return answer(request, parts)

    def _read(self, request: Request, parts: list[str]) -> Reply:
        match parts:
            case [name]:
                return self._search(request, name, request.query)
            case [name, "_search"]:
                return self._search(request, name, request.body.decode())
            case [name, id_]:
                self._quotas.spend("read")
                return self._stored(self._store.read(name, id_), 200)
            case [name, id_, "_history"]:
                self._quotas.spend("search")
                base = f"{self._base}/{name}/{id_}/_history"
                return Reply(200, history_bundle(self._store.history(name, id_), base))
            case [name, id_, "_history", number]:
                self._quotas.spend("read")
                return self._stored(self._past(name, id_, number), 200)
        raise _not_modelled(request)

    def _write(self, request: Request, parts: list[str]) -> Reply:
        reply = self._written(request, parts)
        if self.trail is not None:
            self.trail(call_event(request.method, parts[0], reply.status, self._datastore_id))
        return reply

    def _written(self, request: Request, parts: list[str]) -> Reply:
        self._quotas.spend("write")
        match (request.method, parts):
            case ("POST", [name]):
                return self._stored(self._store.create(_resource(request, name)), 201)
            case ("PUT", [name, id_]):
                version = self._store.update(name, id_, _resource(request, name, id_), _if_match(request))
                return self._stored(version, 201 if version.version == 1 else 200)
            case ("DELETE", [name, id_]):
                self._store.delete(name, id_)
                return Reply(204)
        raise _not_modelled(request)

    def _past(self, name: str, id_: str, number: str) -> Version:
        for version in self._store.history(name, id_):
            if str(version.version) == number and version.body is not None:
                return version
        raise NotFound(f"{name}/{id_}/_history/{number}")

    def _stored(self, version: Version, status: int) -> Reply:
        place = f"{self._base}/{version.resource_type}/{version.id}/_history/{version.version}"
        headers = {"ETag": f'W/"{version.version}"', "Location": place}
        return Reply(status, version.body or "", headers)

    def _search(self, request: Request, name: str, query: str) -> Reply:
        self._quotas.spend("search")
        lag = self._faults.now.search_lag_seconds
        strong = request.headers.get(CONSISTENCY_HEADER, "eventual") == "strong"
        indexed = Indexed(now_ms() - round(lag * 1000), shows_earlier=strong) if lag else None
        search = parse_search(parse_qsl(query, keep_blank_values=True))
        return Reply(200, run_search(self._store, name, search, f"{self._base}/{name}", indexed))

    # Exports

    def _start_export(self, request: Request) -> Reply:
        self._quotas.spend("start_export")
        if request.headers.get("Prefer", "").strip() != "respond-async":
            raise ValidationError("$export needs the header Prefer: respond-async")
        job = self._exports.submit(export_request(request))
        place = f"{self._base}/export/{job.id}"
        lost = self._faults.use("lost_replies")
        return Reply(202, json.dumps(brief(job)), {"content-location": place}, drop=lost)

    def _json_api(self, request: Request) -> Reply:
        target = request.headers.get("X-Amz-Target", "")
        action = {
            "HealthLake.ListFHIRExportJobs": self._list_exports,
            "HealthLake.DescribeFHIRExportJob": self._describe_export,
            "HealthLake.StartFHIRImportJob": self._start_import,
            "HealthLake.DescribeFHIRImportJob": self._describe_import,
        }.get(target)
        if request.method != "POST" or action is None:
            raise ValidationError(f"target {target!r} is not modelled")
        starts = action == self._start_import
        self._quotas.spend("start_import" if starts else "describe_export")
        asked = json_object(request.body)
        if asked.get("DatastoreId") != self._datastore_id:
            raise NotFound("data store")
        return Reply(200, json.dumps(action(asked)), content_type="application/x-amz-json-1.0")

    def _describe_export(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"ExportJobProperties": describe_sdk(self._exports.job(str(asked.get("JobId"))))}

    def _start_import(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        job = self._imports.run(asked)
        return {"JobId": job.id, "JobStatus": "SUBMITTED", "DatastoreId": self._datastore_id}

    def _describe_import(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"ImportJobProperties": self._imports.job(str(asked.get("JobId"))).described()}

    def _list_exports(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        status = asked.get("JobStatus")
        if status is not None and status not in STATES:
            raise ValidationError(f"JobStatus {status!r}")
        jobs = [
            job
            for job in self._exports.jobs()
            if asked.get("JobName") in (None, job.request.job_name)
            and status in (None, job.status)
            and job.submitted / 1000 >= float(asked.get("SubmittedAfter", 0))
            and job.submitted / 1000 <= float(asked.get("SubmittedBefore", 1e12))
        ]
        start, size = int(asked.get("NextToken", 0)), int(asked.get("MaxResults", 100))
        page: dict[str, Any] = {
            "ExportJobPropertiesList": [describe_sdk(job) for job in jobs[start : start + size]]
        }
        return page | ({"NextToken": str(start + size)} if len(jobs) > start + size else {})

    # Admin

    def _admin(self, request: Request) -> Reply:
        what = request.path.removeprefix("/_simulator/").split("/")
        answers: dict[tuple[str, str], Callable[[], object]] = {
            ("GET", "health"): lambda: {"status": "ok", "datastoreId": self._datastore_id},
            ("GET", "faults"): lambda: asdict(self._faults.now),
            ("POST", "faults"): lambda: asdict(self._faults.plan(json_object(request.body))),
            ("DELETE", "faults"): lambda: asdict(self._faults.reset()),
            ("GET", "resources"): self._store.counts,
            ("GET", "exports"): lambda: {
                "jobs": [describe_rest(job) for job in self._exports.jobs()],
                "mostRunning": self._exports.most_running,
            },
            ("POST", "exports"): lambda: describe_rest(
                self._exports.force(what[-1], str(json_object(request.body).get("status")))
            ),
            ("POST", "reset"): self._reset,
        }
        action = answers.get((request.method, what[0]))
        if action is None:
            raise NotFound(f"{request.method} {request.path}")
        return Reply(200, json.dumps(action()), content_type="application/json")

    def _reset(self) -> dict[str, str]:
        self._faults.reset()
        self._exports.clear()
        self._store.clear()
        return {"status": "ok"}


def _resource(
    request: Request, resource_type: str | None = None, id_: str | None = None
) -> fhir_text.Resource:
    try:
        parsed = fhir_text.loads(request.body)
    except ValueError as error:
        raise ValidationError("the body is not JSON") from error
    if not isinstance(parsed, dict) or not TYPE.fullmatch(str(parsed.get("resourceType", ""))):
        raise ValidationError("the body is not a FHIR resource")
    if resource_type is not None and parsed["resourceType"] != resource_type:
        raise ValidationError(f"resourceType differs from {resource_type} in the path")
    if id_ is not None and parsed.get("id", id_) != id_:
        raise ValidationError("id differs from the one in the path")
    if not isinstance(parsed.get("meta", {}), dict):
        raise ValidationError("meta is not an object")
    return parsed


def _if_match(request: Request) -> int | None:
    given = request.headers.get("If-Match")
    if given is None:
        return None
    match = re.fullmatch(r'W/"(\d+)"', given.strip())
    if match is None:
        raise ValidationError('If-Match takes a version such as W/"3"')
    return int(match[1])


def _not_modelled(request: Request) -> NotFound:
    return NotFound(f"{request.method} on this path (not an operation that is modelled)")


def _refusal(request: Request, error: SimulatorError) -> Reply:
    headers = {"x-amzn-ErrorType": error.name}
    fhir = request.path.startswith("/datastore/") and "export" not in request.path
    if fhir and error.status != 403:
        issue = {"severity": "error", "code": error.issue, "diagnostics": str(error)}
        return Reply(
            error.status, json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}), headers
        )
    body = json.dumps({"__type": error.name, "message": str(error)})
    return Reply(error.status, body, headers, content_type="application/x-amz-json-1.0")
