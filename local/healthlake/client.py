"""A client of the simulator, for the CLI and the tests: resources, faults, jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from botocore.credentials import Credentials

from lambdas.shared import fhir_text
from lambdas.shared.fhir_search import CONSISTENCY_HEADER
from lambdas.shared.fhir_text import Resource
from lambdas.shared.healthlake_http import HealthLakeThrottledError, HttpReply, SignedHttp
from local.healthlake import DATASTORE_ID
from local.healthlake.bundles import MAX_ENTRIES
from local.healthlake.notices import PAYLOAD_CONTENT

_HEADERS: Final = {"Content-Type": "application/fhir+json"}
_PATIENCE, _PAUSE_SECONDS = 50, 0.1
"""How often a page that was refused for the quota is asked for again, and how long after."""


class HealthLakeClient:
    """One data store. Calls raise the HealthLakeError of `lambdas.shared.healthlake_http` that fits."""

    def __init__(self, url: str, datastore_id: str = DATASTORE_ID, region: str = "us-east-1") -> None:
        self._http = SignedHttp(
            url.rstrip("/"), region, Credentials("test", "test"), urllib3.PoolManager(maxsize=4)
        )
        self._base = f"/datastore/{datastore_id}/r4"

    def put(self, resource: Resource) -> Resource:
        """Create or update under the resource's own id; as stored, with its version."""
        path = f"{self._base}/{resource['resourceType']}/{resource['id']}"
        return self._parsed(self._http.call("Update", "PUT", path, _bytes(resource), _HEADERS))

    def create(self, resource: Resource) -> Resource:
        """Create under a new id; as stored."""
        path = f"{self._base}/{resource['resourceType']}"
        return self._parsed(self._http.call("Create", "POST", path, _bytes(resource), _HEADERS))

    def read(self, resource_type: str, id_: str) -> Resource:
        """The current version."""
        return self._parsed(self._http.call("Read", "GET", f"{self._base}/{resource_type}/{id_}"))

    def delete(self, resource_type: str, id_: str) -> None:
        """Delete, where it exists."""
        self._http.call("Delete", "DELETE", f"{self._base}/{resource_type}/{id_}")

    def history(self, resource_type: str, id_: str) -> list[dict[str, Any]]:
        """The entries of its history Bundle, newest first."""
        path = f"{self._base}/{resource_type}/{id_}/_history"
        entries: list[dict[str, Any]] = self._parsed(self._http.call("History", "GET", path))["entry"]
        return entries

    def search(
        self, resource_type: str, since: str = "", count: int = 100, *, consistency: str = "eventual"
    ) -> Iterator[Resource]:
        """Resources changed at or after `since` (all where empty), oldest change first, through all pages."""
        headers = {CONSISTENCY_HEADER: consistency}
        parameters = [("_lastUpdated", f"ge{since}")] if since else []
        path: str | None = f"{self._base}/{resource_type}?{urlencode([*parameters, ('_count', str(count))])}"
        while path:
            bundle = self._parsed(self._page(path, headers))
            yield from (entry["resource"] for entry in bundle["entry"])
            path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)

    def _page(self, path: str, headers: Mapping[str, str]) -> HttpReply:
        """One page of a search. Reading all there is, a fast machine meets the quota of searches, and waits."""
        for _ in range(_PATIENCE):
            try:
                return self._http.call("Search", "GET", path, headers=headers)
            except HealthLakeThrottledError:
                time.sleep(_PAUSE_SECONDS)
        return self._http.call("Search", "GET", path, headers=headers)

    def transact(
        self, entries: Sequence[Mapping[str, Any]], kind: str = "transaction"
    ) -> list[dict[str, Any]]:
        """Send Bundle entries at once; the response of each."""
        bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
        reply = self._parsed(self._http.call("Bundle", "POST", f"{self._base}/", _bytes(bundle), _HEADERS))
        return [entry["response"] for entry in reply["entry"]]

    def subscribe(self, bus_arn: str, resource_types: Iterable[str], content: str = "id-only") -> None:
        """Have every change of these types notified on an event bus; `content` may be `full-resource`."""
        interactions = ["create", "update", "delete"]
        self.put(
            {
                "resourceType": "SubscriptionTopic",
                "id": "watershed",
                "status": "active",
                "resourceTrigger": [
                    {"resource": name, "supportedInteraction": interactions} for name in resource_types
                ],
            }
        )
        extension = {"url": PAYLOAD_CONTENT, "valueCode": content}
        self.put(
            {
                "resourceType": "Subscription",
                "id": "watershed",
                "status": "requested",
                "reason": "Watershed lands what changes",
                "criteria": "SubscriptionTopic/watershed",
                "channel": {
                    "type": "event-bridge",
                    "endpoint": bus_arn,
                    "payload": "application/fhir+json",
                    "_payload": {"extension": [extension]},
                },
            }
        )

    def put_all(self, resources: Iterable[Resource]) -> int:
        """Create or update many, in transactions of 500; how many."""
        waiting, count = iter(resources), 0
        while some := list(islice(waiting, MAX_ENTRIES)):
            self.transact([put_entry(resource) for resource in some])
            count += len(some)
        return count

    def put_lines(self, lines: Iterable[str | bytes]) -> int:
        """Create or update the resources of NDJSON lines; how many."""
        return self.put_all(fhir_text.loads(line) for line in lines if line.strip())

    def delete_all(self, keys: Iterable[tuple[str, str]]) -> None:
        """Delete many, each given as (type, id)."""
        entries = [{"request": {"method": "DELETE", "url": f"{name}/{id_}"}} for name, id_ in keys]
        for start in range(0, len(entries), MAX_ENTRIES):
            self.transact(entries[start : start + MAX_ENTRIES])

    def healthy(self) -> bool:
        """Does the simulator answer?"""
        return bool(self._admin("GET", "health")["status"] == "ok")

    def counts(self) -> dict[str, int]:
        """How many resources of each type exist now."""
        return dict(self._admin("GET", "resources"))

    def plan_faults(self, **faults: float) -> dict[str, Any]:
        """Set faults by name, see `local.healthlake.faults.Faults`; all that are planned now."""
        return dict(self._admin("POST", "faults", faults))

    def reset_faults(self) -> None:
        """No more faults."""
        self._admin("DELETE", "faults")

    def exports(self) -> list[dict[str, Any]]:
        """All export jobs, newest first, as the REST describe call gives them."""
        jobs: list[dict[str, Any]] = self._admin("GET", "exports")["jobs"]
        return jobs

    def most_exports_at_once(self) -> int:
        """The most export jobs that ever ran at the same time."""
        return int(self._admin("GET", "exports")["mostRunning"])

    def force_status(self, job_id: str, status: str) -> None:
        """Put an export job in a state."""
        self._admin("POST", f"exports/{job_id}", {"status": status})

    def reset(self) -> None:
        """Forget all resources, jobs and faults."""
        self._admin("POST", "reset")

    def _admin(self, method: str, what: str, body: Mapping[str, Any] | None = None) -> Any:
        content = json.dumps(body).encode() if body is not None else b""
        return self._http.call(what, method, f"/_simulator/{what}", content).json()

    @staticmethod
    def _parsed(reply: HttpReply) -> Resource:
        parsed: Resource = fhir_text.loads(reply.body)
        return parsed


def put_entry(resource: Resource) -> dict[str, Any]:
    """A Bundle entry that creates or updates the resource under its own id."""
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def _bytes(value: Mapping[str, Any]) -> bytes:
    return fhir_text.dumps(value).encode()
