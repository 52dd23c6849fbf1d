"""`StartCrawler` crawls.

The emulator's crawler is `RUNNING` for five seconds, finds nothing, and `SUCCEEDED`. Here the crawl is
handed to the Glue host: `State` is `RUNNING` until it ends, then `READY` with its `LastCrawl`. As on AWS,
starting a crawler that is not `READY` is a `CrawlerRunningException`, and one that is stopped is `STOPPING` until
its crawl has ended, which is `CANCELLED`.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from local.emulator import context
from local.emulator.glue_host import CrawlEnd
from local.emulator.refusal import refusal

_log = logging.getLogger("watershed.glue")

LOG_GROUP = "/aws-glue/crawlers"

_records = threading.Lock()
"""Requests have a thread each: of two that start a crawler, one finds it `RUNNING`."""


def finish(crawler: dict[str, Any], started: float, status: str, message: str, log_stream: str) -> None:
    """Record the end of a crawl."""
    crawler["CrawlElapsedTime"] = 0
    crawler["LastCrawl"] = {
        "Status": status,
        "LogGroup": LOG_GROUP,
        "LogStream": log_stream or crawler["Name"],
        "MessagePrefix": crawler["Name"],
        "StartTime": started,
        **({"ErrorMessage": message} if message else {}),
    }
    crawler["LastRuntimeSeconds"] = time.time() - started
    # Last, since whoever polls takes READY for the end.
    crawler["State"] = "READY"


def ask_to_stop(crawler: dict[str, Any]) -> bool:
    """Whether it crawled, and is now `STOPPING`."""
    with _records:
        if crawler["State"] != "RUNNING":
            return False
        crawler["State"] = "STOPPING"
        return True


def _no_crawler(name: str) -> Any:
    return refusal("EntityNotFoundException", f"Crawler entry with name {name} does not exist")


def _start_crawler(request: dict[str, Any]) -> Any:
    from ministack.core.responses import json_response
    from ministack.services import glue

    from local.glue.crawler import CRAWLED_WITH

    name = request.get("Name", "")
    crawler = glue._crawlers.get(name)
    if crawler is None:
        return _no_crawler(name)
    with _records:
        if crawler["State"] != "READY":
            return refusal("CrawlerRunningException", f"Crawler with name {name} has already started")
        started = time.time()
        crawler["State"] = "RUNNING"

    def on_end(end: CrawlEnd) -> None:
        with _records:
            stopped = crawler["State"] == "STOPPING"
            crawler["TablesUpdated"] = end.tables_updated
            if end.status == "SUCCEEDED":
                crawler[CRAWLED_WITH] = end.crawled_with
            status = "CANCELLED" if stopped else end.status
            finish(crawler, started, status, end.error_message, end.log_stream)

    try:
        context.glue_host().start_crawler({**crawler}, on_end)
    except Exception as error:
        problem = f"The crawl could not be handed to the local Glue: {error}"
        _log.exception("%s", problem)
        finish(crawler, started, "FAILED", problem, "")
        return refusal("InternalServiceException", problem, 500)
    return json_response({})


def _stop_crawler(request: dict[str, Any]) -> Any:
    from ministack.core.responses import json_response
    from ministack.services import glue

    name = request.get("Name", "")
    if (crawler := glue._crawlers.get(name)) is None:
        return _no_crawler(name)
    if not ask_to_stop(crawler):
        return refusal("CrawlerNotRunningException", f"Crawler with name {name} is not running")
    return json_response({})


def _get_crawler_metrics(request: dict[str, Any]) -> Any:
    from ministack.core.responses import json_response
    from ministack.services import glue

    names = request.get("CrawlerNameList") or list(glue._crawlers)
    metrics = [
        {
            "CrawlerName": name,
            "TimeLeftSeconds": 0.0,
            "StillEstimating": glue._crawlers[name]["State"] == "RUNNING",
            "LastRuntimeSeconds": glue._crawlers[name].get("LastRuntimeSeconds", 0.0),
            "MedianRuntimeSeconds": glue._crawlers[name].get("LastRuntimeSeconds", 0.0),
            "TablesCreated": 0,
            "TablesUpdated": glue._crawlers[name].get("TablesUpdated", 0),
            "TablesDeleted": 0,
        }
        for name in names
        if name in glue._crawlers
    ]
    return json_response({"CrawlerMetricsList": metrics})


def apply() -> None:
    from ministack.services import glue

    glue._start_crawler = _start_crawler
    glue._stop_crawler = _stop_crawler
    glue._get_crawler_metrics = _get_crawler_metrics
