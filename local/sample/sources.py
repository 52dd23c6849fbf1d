"""Both sources as sample data sees them: read what they hold, and apply seeds and rounds of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from local.healthlake.bundles import MAX_ENTRIES
from local.healthlake.client import HealthLakeClient
from local.sample.changes import Round, Sources
from local.sample.items import REGISTRY, SITE_ACTIVITY, Item
from local.sample.population import Resource
from local.sample.tables import delete_items, put_items, scan_items

_PAGE = 100
"""The most that HealthLake gives a page."""
_SERVER_FIELDS = ("versionId", "lastUpdated")


@dataclass(frozen=True)
class Applied:
    """What was done at the sources: resources written and deleted, and item changes that streams carry."""

    resources_written: int = 0
    resources_deleted: int = 0
    item_changes: int = 0


def read_sources(fhir: HealthLakeClient, dynamodb: Any) -> Sources:
    """All that both sources hold now."""
    resources = {
        name: {each["id"]: each for each in fhir.search(name, count=_PAGE)} for name in fhir.counts()
    }
    items: dict[str, list[Item]] = {table: scan_items(dynamodb, table) for table in (REGISTRY, SITE_ACTIVITY)}
    return Sources(resources, items)


def write_resources(
    fhir: HealthLakeClient, resources: Iterable[Resource], note: Callable[[int], None] = lambda _: None
) -> int:
    """Write resources in transactions; ``note`` hears how many are done."""
    written = 0
    waiting = map(_without_server_fields, resources)
    with ThreadPoolExecutor(1) as sender:
        # One bundle is on its way while the next is made.
        sent: Future[int] | None = None
        while bundle := list(islice(waiting, MAX_ENTRIES)):
            written += sent.result() if sent else 0
            note(written)
            sent = sender.submit(fhir.put_all, bundle)
        return written + (sent.result() if sent else 0)


def _without_server_fields(resource: Resource) -> Resource:
    """The resource without what the server sets: its version and time of update."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in _SERVER_FIELDS}
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest


def apply_round(fhir: HealthLakeClient, dynamodb: Any, plan: Round) -> Applied:
    """Carry a round out at both sources."""
    written = write_resources(fhir, plan.resources)
    fhir.delete_all((each.resource_type, each.id) for each in plan.deleted_resources)
    changes = put_items(dynamodb, plan.items) + delete_items(dynamodb, plan.deleted_items)
    return Applied(written, len(plan.deleted_resources), changes)
