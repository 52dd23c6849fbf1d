"""Find at HealthLake what changed of one resource type, or which of its resources exist; and land it.

Invoked by the state machine `fhir-changes`::

    {"kind": "change", "resourceType": "Patient", "since": "<ISO>", "page": ""}
    {"kind": "delete", "resourceType": "Patient", "since": "<ISO>", "page": ""}

Answers `{"page", "found", "landed", "outcome"}`; a `page` that is not empty asks to be called again with it.

Environment: HEALTHLAKE_ENDPOINT, DATASTORE_ID, LANDING_BUCKET, CHANGES_TABLE, EVENT_BUS (may be empty),
SEARCH_OVERLAP_SECONDS, DELETE_MARGIN_SECONDS, DELETE_MAX_RESOURCES.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from lambdas.find_fhir_changes.listing import Listing, identities
from lambdas.shared.change_lander import ChangeLander, change_lander
from lambdas.shared.export_state import iso
from lambdas.shared.fhir_change import FhirChange, NotAResourceError, resource_change
from lambdas.shared.fhir_search import FhirReader, Page
from lambdas.shared.healthlake_client import signed_http
from lambdas.shared.logger import make_logger

logger = make_logger("find_fhir_changes", "resource_type", "found", "landed", "unusable", "outcome", "pages")

PAGES_AT_ONCE: Final = 50
"""Pages of one invocation: 5,000 resources, well within the function's time and memory."""


class IncompleteListingError(Exception):
    """Raised when a listing holds fewer resources than HealthLake counts: something moved meanwhile."""


class DeletionTooRecentError(Exception):
    """Raised when a listing would not judge the deletion that asked for it; the settings contradict."""


@dataclass(frozen=True)
class Finder:
    """Searches and lands; its parts are passed in so that tests can choose them."""

    reader: FhirReader
    lander: ChangeLander
    overlap: timedelta
    margin: timedelta
    max_listed: int
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def changes(self, resource_type: str, since: str, page: str) -> dict[str, Any]:
        """Land the versions that changed since then and have not landed, some pages at a time."""
        noticed = self.now()
        begin = datetime.fromisoformat(since) - self.overlap
        path = page or self.reader.first_page(resource_type, iso(begin))
        found = landed = unusable = 0
        for _ in range(PAGES_AT_ONCE):
            answer = self.reader.page(path)
            good = list(_usable(answer, noticed))
            landed += self.lander.land(good)
            found += len(good)
            unusable += len(answer.resources) - len(good)
            path = answer.next
            if not path:
                break
        logger.info(
            "changes found", resource_type=resource_type, found=found, landed=landed, unusable=unusable
        )
        return {"page": path, "found": found, "landed": landed, "outcome": "searched"}

    def deletions(self, resource_type: str, since: str) -> dict[str, Any]:
        """Land the list of what exists, so that `conform_fhir` sees what does not. Raises our errors.

        It judges nothing younger than the margin: HealthLake's search may leave out a resource whose latest
        version it has yet to index, though we ask it not to.
        """
        judged_at = self.now() - self.margin
        if judged_at < datetime.fromisoformat(since):
            raise DeletionTooRecentError("DELETE_SETTLE_SECONDS must exceed DELETE_MARGIN_SECONDS")
        listed: dict[str, str] = {}
        total: int | None = None
        path = self.reader.first_page(resource_type, elements=("id", "meta"))
        while path:
            answer = self.reader.page(path, strong=True)
            listed |= identities(answer.resources)
            total = answer.total if total is None else total
            if max(len(listed), total or 0) > self.max_listed:
                # The next full export finds it: a listing that is cut short would delete what it lacks.
                logger.warning("too many to list", resource_type=resource_type, outcome="too_many")
                return {"page": "", "found": len(listed), "landed": 0, "outcome": "too_many"}
            path = answer.next
        if total is not None and len(listed) < total:
            raise IncompleteListingError(f"{len(listed)} of {total} resources of {resource_type} were listed")
        self._land(Listing(resource_type, judged_at, tuple(listed[id_] for id_ in sorted(listed))))
        logger.info("resources listed", resource_type=resource_type, found=len(listed), outcome="listed")
        return {"page": "", "found": len(listed), "landed": 1, "outcome": "listed"}

    def _land(self, listing: Listing) -> None:
        """The manifest last: what it names is there."""
        for key, body in (
            (listing.key, listing.body()),
            (listing.manifest_key, listing.manifest().encode()),
        ):
            self.lander.s3.put_object(Bucket=self.lander.bucket, Key=key, Body=body)


def _usable(page: Page, noticed: datetime) -> list[FhirChange]:
    """The page's changes. What cannot be landed here comes with the next export, and is set aside there."""
    changes = []
    for resource in page.resources:
        try:
            changes.append(resource_change(resource, noticed))
        except NotAResourceError:
            continue
    return changes


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda's entry. Raises, so that the state machine tries again."""
    finder = make_finder()
    if event["kind"] == "delete":
        return finder.deletions(event["resourceType"], event["since"])
    return finder.changes(event["resourceType"], event["since"], event["page"])


@cache
def make_finder() -> Finder:
    """The finder that the environment describes; kept while the function is warm."""
    env = os.environ
    return Finder(
        FhirReader(signed_http(), env["DATASTORE_ID"]),
        change_lander(),
        overlap=timedelta(seconds=float(env["SEARCH_OVERLAP_SECONDS"])),
        margin=timedelta(seconds=float(env["DELETE_MARGIN_SECONDS"])),
        max_listed=int(env["DELETE_MAX_RESOURCES"]),
    )
