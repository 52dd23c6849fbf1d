"""Changes that landed between exports, as lines like those of exports.

A change has no export: it counts as of its own ``meta.lastUpdated``, a deletion as of its Bundle's
``timestamp``, and what says neither as of the hour that its folder names. So it competes with what exports
bring by the same rule, and may come before or after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from glue_jobs.conform.fhir_lines import (
    BLANK,
    INSTANT,
    LineFile,
    parse_deletions,
    parse_resources,
    read_lines,
)
from glue_jobs.lake.erased import blank_erased
from glue_jobs.lake.ledger import News, news
from glue_jobs.lake.listing import LandingObject
from glue_jobs.lake.run import Run

CHANGES = "fhir_changes/"
CHANGE = "change"
CHANGE_DELETE = "change_delete"
"""How a resource, or its deletion, was learned."""
_DELETED = "deleted-"
_HOUR = re.compile("year=([0-9]+)/month=([0-9]+)/day=([0-9]+)/hour=([0-9]+)/")


@dataclass(frozen=True)
class Changes:
    """The objects that the job has not consumed: of resources, and of deletions."""

    resources: tuple[LandingObject, ...]
    deletions: tuple[LandingObject, ...]
    consumed: tuple[LandingObject, ...] = ()
    """What to record once they are in the table."""

    @property
    def objects(self) -> tuple[LandingObject, ...]:
        return (*self.resources, *self.deletions)

    @property
    def types(self) -> set[str]:
        """Of the resources: what their folders say."""
        return {type_of(each.key) for each in self.resources}


def new_changes(run: Run) -> Changes:
    """What landed since the last run; nothing where the run is for one export alone."""
    found = News(()) if run.arguments.export_id else news(run, CHANGES)
    sorts: dict[bool, list[LandingObject]] = {False: [], True: []}
    for each in found.objects:
        sorts[each.key.rpartition("/")[2].startswith(_DELETED)].append(each)
    return Changes(tuple(sorts[False]), tuple(sorts[True]), found.consumed)


def changed_resources(run: Run, changes: Changes) -> DataFrame | None:
    """``parse_resources`` of the changes, with their ``source``; ``export_id`` is null."""
    if not changes.resources:
        return None
    parsed = parse_resources(_lines(run, changes.resources))
    return blank_erased(
        run,
        parsed.withColumns({"changed_at": F.coalesce("last_updated", "changed_at"), "source": F.lit(CHANGE)}),
        BLANK,
        references=True,
    )


def changed_deletions(run: Run, changes: Changes) -> DataFrame | None:
    """``parse_deletions`` of the changes; ``export_id`` is null."""
    if not changes.deletions:
        return None
    parsed = parse_deletions(_lines(run, changes.deletions))
    stamp = F.get_json_object("text", "$.timestamp")
    at = F.when(stamp.rlike(INSTANT), F.expr("try_cast(get_json_object(text, '$.timestamp') as timestamp)"))
    return blank_erased(
        run, parsed.withColumn("changed_at", F.coalesce(at, "changed_at")), BLANK, references=False
    )


def type_of(object_key: str) -> str:
    """``Patient`` of ``…/resource_type=Patient/…``."""
    return object_key.partition("resource_type=")[2].partition("/")[0]


def _lines(run: Run, objects: Sequence[LandingObject]) -> DataFrame:
    files = [LineFile(each.key, type_of(each.key), None, _hour(each.key)) for each in objects]
    return read_lines(run.spark, run.arguments.landing_uri, files)


def _hour(object_key: str) -> datetime | None:
    """The hour that the object's folder names."""
    found = _HOUR.search(object_key)
    if found is None:
        return None
    year, month, day, hour = map(int, found.groups())
    return datetime(year, month, day, hour, tzinfo=UTC)
