"""Reading resources from HealthLake: one by its id, or many by `_lastUpdated`, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from lambdas.shared import fhir_text
from lambdas.shared.healthlake_client import UnreadableReplyError
from lambdas.shared.healthlake_http import HealthLakeRefusedError, SignedHttp

PAGE_SIZE: Final = 100
"""The most that HealthLake puts on a page."""
CONSISTENCY_HEADER: Final = "x-amz-fhir-history-consistency-level"
"""`strong`: a resource whose latest version is not indexed yet is found in the version before, not left out.
https://docs.aws.amazon.com/healthlake/latest/devguide/searching-fhir-consistency-levels.html says so of
searches; its example sets the header on the write, so that nothing may rest on it alone."""
_GONE: Final = (404, 410)


@dataclass(frozen=True)
class Page:
    """Resources as parsed by `fhir_text`, the path of the next page (empty: the last), and the total."""

    resources: tuple[Any, ...]
    next: str
    total: int | None


@dataclass(frozen=True)
class FhirReader:
    """The resources of one data store."""

    http: SignedHttp
    datastore_id: str

    @property
    def _base(self) -> str:
        return f"/datastore/{self.datastore_id}/r4"

    def read(self, resource_type: str, id_: str) -> Any | None:
        """The current version; None where there is none, or no longer. Raises HealthLakeError."""
        try:
            reply = self.http.call("ReadResource", "GET", f"{self._base}/{resource_type}/{id_}")
        except HealthLakeRefusedError as error:
            if error.status in _GONE:
                return None
            raise
        try:
            return fhir_text.loads(reply.body)
        except ValueError:
            raise UnreadableReplyError("ReadResource answered something that is not JSON") from None

    def first_page(self, resource_type: str, since: str = "", elements: Sequence[str] = ()) -> str:
        """The path of a search's first page: what changed at or after `since`, or everything."""
        query = [("_lastUpdated", f"ge{since}")] if since else []
        if elements:
            query.append(("_elements", ",".join(elements)))
        return f"{self._base}/{resource_type}?{urlencode([*query, ('_count', str(PAGE_SIZE))])}"

    def page(self, path: str, *, strong: bool = False) -> Page:
        """One page; `strong` leaves out nothing that waits for the index. Raises HealthLakeError,
        UnreadableReplyError."""
        headers = {CONSISTENCY_HEADER: "strong"} if strong else None
        reply = self.http.call("SearchType", "GET", path, headers=headers)
        try:
            bundle = fhir_text.loads(reply.body)
            resources = tuple(
                entry["resource"]
                for entry in bundle.get("entry") or ()
                if entry.get("search", {}).get("mode", "match") == "match"
            )
            total = bundle.get("total")
            return Page(resources, self._next(bundle), total if isinstance(total, int) else None)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UnreadableReplyError("SearchType answered something that is not a searchset") from None

    def _next(self, bundle: Mapping[str, Any]) -> str:
        """The next link's path: never its host, for the request is signed for our own."""
        urls = [link["url"] for link in bundle.get("link") or () if link.get("relation") == "next"]
        if not urls:
            return ""
        address = urlsplit(str(urls[0]))
        if not address.path.startswith(f"{self._base}/"):
            raise UnreadableReplyError("SearchType's next link leaves the data store")
        return f"{address.path}?{address.query}"
