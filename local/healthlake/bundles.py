"""Transaction and batch Bundles: several writes in one call."""

from __future__ import annotations

import uuid
from typing import Any, Final

from lambdas.shared import fhir_text
from local.healthlake.clock import instant
from local.healthlake.errors import SimulatorError, ValidationError
from local.healthlake.store import Store, Version

MAX_ENTRIES: Final = 500


def process_bundle(store: Store, bundle: fhir_text.Resource) -> str:
    """Do what the entries ask; the response Bundle as JSON text.

    A transaction is all or nothing; a batch answers each entry on its own. References from one entry to
    another's `fullUrl` (`urn:uuid:…`) become references to what was stored.
    """
    kind = bundle.get("type")
    entries = bundle.get("entry", [])
    if bundle.get("resourceType") != "Bundle" or kind not in ("transaction", "batch"):
        raise ValidationError("POST a Bundle of type transaction or batch here")
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise ValidationError(f"a Bundle takes at most {MAX_ENTRIES} entries")
    answers: list[dict[str, Any]] = []
    with store.transaction():
        for entry in _resolved(entries):
            try:
                answers.append(_process(store, entry))
            except SimulatorError as error:
                if kind == "transaction":
                    raise
                answers.append({"status": str(error.status)})
    response = {"resourceType": "Bundle", "type": f"{kind}-response"}
    return fhir_text.dumps({**response, "entry": [{"response": answer} for answer in answers]})


def _resolved(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries with the ids of new resources chosen and `urn:uuid:` references replaced by them."""
    known: dict[str, str] = {}
    for entry in entries:
        full_url, request = str(entry.get("fullUrl", "")), entry.get("request", {})
        if full_url.startswith("urn:uuid:") and request.get("method") == "POST":
            known[full_url] = f"{entry.get('resource', {}).get('resourceType')}/{uuid.uuid4()}"
        elif full_url.startswith("urn:uuid:"):
            known[full_url] = str(request.get("url"))
    if not known:
        return entries
    text = fhir_text.dumps([entry.get("resource") for entry in entries])
    for full_url, reference in known.items():
        text = text.replace(f'"reference":"{full_url}"', f'"reference":"{reference}"')
    resources = fhir_text.loads(text)
    return [
        {
            **entry,
            "resource": resource,
            "request": {**entry.get("request", {}), "assigned": known.get(str(entry.get("fullUrl", "")))},
        }
        for entry, resource in zip(entries, resources, strict=True)
    ]


def _process(store: Store, entry: dict[str, Any]) -> dict[str, Any]:
    request, resource = entry.get("request", {}), entry.get("resource")
    method, url = request.get("method"), str(request.get("url", ""))
    resource_type, _, id_ = url.partition("/")
    if method == "DELETE" and id_:
        store.delete(resource_type, id_)
        return {"status": "204"}
    if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
        raise ValidationError("an entry's resource is missing, or of another type than its request.url")
    if method == "POST" and not id_:
        assigned = str(request.get("assigned") or f"{resource_type}/{uuid.uuid4()}").partition("/")[2]
        return _answer(store.update(resource_type, assigned, resource))
    if method == "PUT" and id_:
        return _answer(store.update(resource_type, id_, resource))
    raise ValidationError("an entry's request is not one of POST Type, PUT Type/id, DELETE Type/id")


def _answer(version: Version) -> dict[str, Any]:
    return {
        "status": "201" if version.version == 1 else "200",
        "location": f"{version.resource_type}/{version.id}/_history/{version.version}",
        "etag": f'W/"{version.version}"',
        "lastModified": instant(version.last_updated),
    }
