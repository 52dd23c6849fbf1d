"""Erase a subject: remember it, so that it cannot come back; remove it everywhere; tell what was removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from glue_jobs.curation.declarations import Declarations
from glue_jobs.curation.job import TableFailed, curate
from glue_jobs.deid.suite import ZONE as TWIN_ZONE
from glue_jobs.deid.twin import TWIN, Undeclared
from glue_jobs.erasure.landing import Cleaned, clean_landing
from glue_jobs.erasure.scrub import scrub_table
from glue_jobs.erasure.subject import Subject
from glue_jobs.erasure.tables import delete_rows, erased_resources, still_naming
from glue_jobs.lake.erased import FHIR, ITEM, item_key, remember
from glue_jobs.lake.errors import AuditFailed
from glue_jobs.lake.run import Run
from glue_jobs.lake.tables import table_exists, tables_in
from schemas import ItemType

DATABASES = ("watershed_conformed", "watershed_curated", "watershed_ops")
AT_ONCE = 4
"""Tables scrubbed at a time: of a small one it is mostly planning, one core's work on the driver."""


@dataclass
class Report:
    """What was removed where. It names the subject only by its keyed hash.

    ``stays`` is what still names the subject, by table or object: rows or lines that do not declare it.
    ``not_rebuilt`` are curated tables whose audit refused their new rows; they hold none of the subject,
    but their aggregates may still count it. One of the twin is emptied instead.
    """

    subject: str
    tables: list[dict[str, object]] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    stays: dict[str, int] = field(default_factory=dict)
    not_rebuilt: list[str] = field(default_factory=list)
    versions: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def erase(run: Run, subject: Subject, item_types: dict[str, ItemType], declarations: Declarations) -> Report:
    """Erase a subject from the lake and the landing zone. Safe to repeat, and to kill at any point.

    It is remembered first, so that whatever is conformed from then on is without it. Run it while no other
    job runs.
    """
    kind = FHIR if subject.item_type is None else ITEM
    key = subject.key[0] if subject.item_type is None else item_key(subject.key)
    report = Report(remember(run, kind, subject.type, key))
    cleaned = clean_landing(run, subject, item_types)
    report.objects, report.sources = cleaned.removed, sorted(set(cleaned.sources))
    resources = erased_resources(run, subject)
    rows = delete_rows(run, subject, resources, item_types.values(), declarations)
    report.not_rebuilt = _rebuild(run, declarations)
    _empty_unmade(run, report.not_rebuilt)
    tables = _all_tables(run)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        done = pool.map(lambda table: scrub_table(run.spark, table, rows.get(table, 0)), tables)
        report.tables = [each.to_dict() for each in done]
    report.stays = {**_stays(cleaned), **still_naming(run, subject, tables)}
    for table, count in rows.items():
        run.wrote(table.partition(".")[2], count)
    run.read("objects_rewritten", len(report.objects))
    return report


def _rebuild(run: Run, declarations: Declarations) -> list[str]:
    """Make the curated tables anew, for what they count and combine; those whose audit refused that."""
    curated = [f"{run.catalog}.watershed_curated.{name}" for name in declarations.suites]
    if not any(table_exists(run.spark, table) for table in curated):
        return []
    try:
        curate(replace(run, arguments=replace(run.arguments, full=True)), declarations)
    except (AuditFailed, TableFailed) as error:
        refused = run.detail.get("unpublished")
        return sorted({*error.failures, *(refused if isinstance(refused, dict) else ())})
    except Undeclared:
        pass  # what the twin lacks names nobody
    return []


def _empty_unmade(run: Run, not_rebuilt: list[str]) -> None:
    """Empty the tables of the twin that could not be made anew: of them nobody could tell whose a row is."""
    if not run.arguments.deid:
        return
    for table in tables_in(run.spark, run.catalog, TWIN):
        if TWIN_ZONE in not_rebuilt or f"{TWIN_ZONE}.{table.rpartition('.')[2]}" in not_rebuilt:
            run.spark.sql(f"delete from {table} where true")


def _all_tables(run: Run) -> list[str]:
    """Full names of every table of the lake."""
    databases = (*DATABASES, TWIN) if run.arguments.deid else DATABASES
    return [table for each in databases for table in tables_in(run.spark, run.catalog, each)]


def _stays(cleaned: Cleaned) -> dict[str, int]:
    return dict(sorted(cleaned.stays.items()))
