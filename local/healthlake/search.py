"""Search by `_lastUpdated` with pages, as far as Watershed uses it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from lambdas.shared import fhir_text
from local.healthlake.clock import instant, parse_instant
from local.healthlake.errors import ValidationError
from local.healthlake.store import Indexed, Store, Version, Window

DEFAULT_COUNT: Final = 10
MAX_COUNT: Final = 100
Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Search:
    """A parsed search. `after` is the (lastUpdated, id) that the page before ended with."""

    window: Window
    count: int = DEFAULT_COUNT
    elements: tuple[str, ...] = ()
    after: tuple[int, str] = (-1, "")


def parse_search(parameters: Parameters) -> Search:
    """Raises ValidationError that names the parameter."""
    search = Search(Window())
    for name, value in parameters:
        if name == "_lastUpdated":
            search = replace(search, window=_bound(search.window, value))
        elif name == "_count":
            search = replace(search, count=_count(value))
        elif name == "_elements":
            search = replace(search, elements=tuple(value.split(",")))
        elif name == "page":
            search = replace(search, after=_page(value))
        else:
            raise ValidationError(
                f"search parameter {name!r} is not modelled; use _lastUpdated, _count, _elements, page"
            )
    return search


def run_search(store: Store, resource_type: str, search: Search, base: str, indexed: Indexed | None) -> str:
    """A searchset Bundle, with a `next` link where more follow. `base` is the address without the query."""
    found = store.search(resource_type, search.window, search.after, search.count + 1, indexed)
    page = found[: search.count]
    links = [{"relation": "self", "url": f"{base}?{_query(search, search.after)}"}]
    if len(found) > search.count:
        last = page[-1]
        links.append({"relation": "next", "url": f"{base}?{_query(search, (last.last_updated, last.id))}"})
    return _bundle("searchset", links, [_match(version, base, search.elements) for version in page])


def history_bundle(versions: Sequence[Version], base: str) -> str:
    """A history Bundle, newest first; deletions are entries without a resource."""
    return _bundle("history", [{"relation": "self", "url": base}], [_past(version) for version in versions])


def _match(version: Version, base: str, elements: Sequence[str]) -> str:
    url = fhir_text.dumps(f"{base}/{version.id}")
    body = version.body or ""
    if elements:
        kept = {"resourceType", *elements}
        body = fhir_text.dumps({name: value for name, value in fhir_text.loads(body).items() if name in kept})
    return f'{{"fullUrl":{url},"resource":{body},"search":{{"mode":"match"}}}}'


def _past(version: Version) -> str:
    request = fhir_text.dumps({"method": version.method, "url": f"{version.resource_type}/{version.id}"})
    resource = "" if version.body is None else f'"resource":{version.body},'
    return f'{{{resource}"request":{request},"response":{{"etag":"W/\\"{version.version}\\""}}}}'


def _bundle(kind: str, links: list[dict[str, str]], entries: list[str]) -> str:
    # Resources are spliced in as text, so that they leave exactly as they are stored.
    head = fhir_text.dumps({"resourceType": "Bundle", "type": kind, "link": links})
    return f'{head[:-1]},"entry":[{",".join(entries)}]}}'


def _query(search: Search, after: tuple[int, str]) -> str:
    window = search.window
    parts: list[tuple[str, str]] = []
    if window.since is not None:
        parts.append(("_lastUpdated", f"{'ge' if window.since_inclusive else 'gt'}{instant(window.since)}"))
    if window.until is not None:
        parts.append(("_lastUpdated", f"{'le' if window.until_inclusive else 'lt'}{instant(window.until)}"))
    parts.append(("_count", str(search.count)))
    if search.elements:
        parts.append(("_elements", ",".join(search.elements)))
    if after[0] >= 0:
        parts.append(("page", base64.urlsafe_b64encode(json.dumps(after).encode()).decode()))
    return urlencode(parts)


def _bound(window: Window, value: str) -> Window:
    prefix, moment = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    try:
        ms = parse_instant(moment)
    except ValueError as error:
        raise ValidationError(
            "_lastUpdated takes a prefix and an instant, such as ge2026-01-31T00:00:00Z"
        ) from error
    match prefix:
        case "ge":
            return replace(window, since=ms, since_inclusive=True)
        case "gt":
            return replace(window, since=ms, since_inclusive=False)
        case "le":
            return replace(window, until=ms, until_inclusive=True)
        case "lt":
            return replace(window, until=ms, until_inclusive=False)
        case "eq":
            return replace(window, since=ms, until=ms, since_inclusive=True, until_inclusive=True)
    raise ValidationError(f"_lastUpdated prefix {prefix!r} is not one of ge, gt, le, lt, eq")


def _count(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= MAX_COUNT:
        raise ValidationError(f"_count takes 1 to {MAX_COUNT}")
    return int(value)


def _page(value: str) -> tuple[int, str]:
    try:
        moment, id_ = json.loads(base64.urlsafe_b64decode(value))
        return int(moment), str(id_)
    except ValueError as error:
        raise ValidationError("page is not one that a next link gave") from error
