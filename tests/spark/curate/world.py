"""A small world for the curate tests: both sources as plain Python, and the conformed tables they end in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from glue_jobs.conform.item_tables import table_specs
from glue_jobs.curation.declarations import CURATED, Declarations, load_declarations
from glue_jobs.curation.job import curate
from glue_jobs.curation.publish import Outcome
from glue_jobs.deid.twin import TWIN
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.metrics import Metric
from glue_jobs.lake.quarantine import QUARANTINE_TABLE
from glue_jobs.lake.run import Run, new_run_id
from glue_jobs.lake.tables import Column, TableSpec, append_rows, ensure_table, table_exists
from schemas import ItemType, load_item_types

Item = dict[str, Any]

RESOURCE_SPEC = TableSpec(
    "watershed_conformed.fhir_resource",
    (
        Column("resource_type", "string"),
        Column("id", "string"),
        Column("version_id", "string"),
        Column("last_updated", "timestamp"),
        Column("is_deleted", "boolean"),
        Column("resource", "string"),
        Column("source", "string"),
        Column("export_id", "string"),
        Column("changed_at", "timestamp"),
        Column("run_id", "string"),
    ),
    partitioned_by=("resource_type",),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """The sources' present state, and a writer that brings changes of it into the conformed tables.

    Items are keyed by their column values; ``items[type]`` maps the key columns to the item's columns.
    """

    spark: SparkSession
    landing_uri: str
    declarations: Declarations = field(default_factory=load_declarations)
    types: Mapping[str, ItemType] = field(default_factory=lambda: _by_sql_name(load_item_types().values()))
    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[tuple[Any, ...], Item]] = field(default_factory=dict)
    _resource_changes: dict[tuple[str, str], dict[str, Any] | None] = field(default_factory=dict)
    _item_changes: dict[tuple[str, tuple[Any, ...]], Item | None] = field(default_factory=dict)
    _current: dict[tuple[str, tuple[Any, ...]], Item] = field(default_factory=dict)
    secret: Path | None = None
    """Where the twin's secret lies; None keeps no twin."""
    deid: str = "shift"
    last_run_id: str = ""
    docs_uri: str | None = None
    metrics: list[Metric] = field(default_factory=list)
    """What the last run of the job told of its tables."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When its runs start: all at one time, so that no new year begins between two."""

    def __post_init__(self) -> None:
        self.items = {name: {} for name in self.types}
        conformed = [RESOURCE_SPEC, *(spec for each in self.types.values() for spec in _specs(each))]
        curated = [f"{CURATED}.{name}" for name in (*self.declarations.views, *self.declarations.models)]
        for name in (*curated, *self._twins(), *(spec.name for spec in conformed)):
            if table_exists(self.spark, f"lake.{name}"):
                self.spark.sql(f"drop table lake.{name} purge")
        for spec in conformed:
            ensure_table(self.spark, "lake", spec)

    def _twins(self) -> list[str]:
        """The tables of the twin that another world left."""
        if not self.spark.catalog.databaseExists(f"lake.{TWIN}"):
            return []
        return [f"{TWIN}.{row.tableName}" for row in self.spark.sql(f"show tables in lake.{TWIN}").collect()]

    # What happens at the sources

    def put(self, *resources: dict[str, Any]) -> None:
        for resource in resources:
            key = (resource["resourceType"], resource["id"])
            self.resources[key] = self._resource_changes[key] = resource

    def delete(self, resource_type: str, id_: str) -> None:
        if self.resources.pop((resource_type, id_), None) is not None:
            self._resource_changes[(resource_type, id_)] = None

    def put_item(self, name: str, **item: Any) -> None:
        key = tuple(item[each.column] for each in self.types[name].keys)
        self.items[name][key] = item
        self._item_changes[(name, key)] = item

    def delete_item(self, name: str, *key: Any) -> None:
        if self.items[name].pop(key, None) is not None:
            self._item_changes[(name, key)] = None

    # What the conform jobs make of it

    def conform(self) -> None:
        """Write the changes since the last call, under a run id of their own."""
        run_id = self.last_run_id = new_run_id(self.last_run_id)
        self._conform_resources(run_id)
        for name, item_type in self.types.items():
            changes = {key: item for (of, key), item in self._item_changes.items() if of == name}
            if changes:
                self._conform_items(item_type, changes, run_id)
        self._resource_changes.clear()
        self._item_changes.clear()

    def _conform_resources(self, run_id: str) -> None:
        if not self._resource_changes:
            return
        table = f"lake.{RESOURCE_SPEC.name}"
        keys = self.spark.createDataFrame(list(self._resource_changes), "resource_type string, id string")
        keys.createOrReplaceTempView("_world_keys")
        self.spark.sql(f"delete from {table} where (resource_type, id) in (select * from _world_keys)")
        rows = [
            (
                kind,
                id_,
                "1",
                NOW,
                resource is None,
                json.dumps(resource) if resource else None,
                "test",
                "e",
                NOW,
                run_id,
            )
            for (kind, id_), resource in self._resource_changes.items()
        ]
        append_rows(self.spark, table, rows)

    def _conform_items(
        self, item_type: ItemType, changes: Mapping[tuple[Any, ...], Item | None], run_id: str
    ) -> None:
        current, history = _specs(item_type)
        name = item_type.sql_name
        keys = [each.column for each in item_type.keys]
        types = {column.name: column.type for column in current.columns}
        schema = ", ".join(f"{key} {types[key]}" for key in keys)
        self.spark.createDataFrame(list(changes), schema).createOrReplaceTempView("_world_keys")
        columns = ", ".join(keys)
        self.spark.sql(
            f"delete from lake.{current.name} where ({columns}) in (select {columns} from _world_keys)"
        )
        meta = {"_run_id": run_id, "_changed_at": NOW}

        def row(key: tuple[Any, ...], item: Item | None) -> tuple[Any, ...]:
            values = {**(item or dict(zip(keys, key, strict=True))), **meta}
            return tuple(values.get(column.name) for column in current.columns)

        kept = [row(key, item) for key, item in changes.items() if item is not None]
        append_rows(self.spark, f"lake.{current.name}", kept)
        versions = [row(key, item) for key, item in changes.items()]
        # What was current until now is written again: its validity has ended.
        versions += [row(key, self._current[name, key]) for key in changes if (name, key) in self._current]
        append_rows(self.spark, f"lake.{history.name}", versions)
        for key, item in changes.items():
            self._current.pop((name, key), None)
            if item is not None:
                self._current[name, key] = item

    # What curate makes of that

    def run(self, *, full: bool = False) -> Run:
        self.last_run_id = new_run_id(self.last_run_id)
        arguments = JobArguments(self.landing_uri, full=full, docs_uri=self.docs_uri)
        if self.secret is not None:
            arguments = replace(arguments, deid=self.deid, deid_secret=self.secret.as_uri())
        return Run(self.spark, "curate", self.last_run_id, arguments, self.now)

    def curate(self, *, full: bool = False) -> dict[str, Outcome]:
        run = self.run(full=full)
        self.metrics = run.metrics
        outcomes = curate(run, self.declarations)
        return {each.table: each for each in outcomes}

    def table(self, name: str, database: str = CURATED) -> list[dict[str, Any]]:
        """The published rows, sorted, with times in UTC."""
        rows = self.spark.table(f"lake.{database}.{name}").collect()
        return in_order({key: utc(value) for key, value in row.asDict().items()} for row in rows)

    def quarantined(self, name: str) -> list[tuple[str, str]]:
        """Hash of the key, and reason, of the rows that a table lacks, sorted."""
        rows = self.spark.table(f"lake.{QUARANTINE_TABLE.name}")
        rows = rows.where(f"source = 'curated' and object_key = 'curated.{name}'")
        return sorted((row.key_hash, row.reason) for row in rows.collect())


def chosen(*tables: str) -> Declarations:
    """The declarations of some curated tables, and of those that they read."""
    every = load_declarations()
    wanted: set[str] = set()
    waiting = list(tables)
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        if name in every.models:
            read = every.models[name].depends_on
            waiting += [each.table for each in read if each.zone == "curated" and each.table not in wanted]
    return Declarations(
        {name: each for name, each in every.views.items() if name in wanted},
        {name: each for name, each in every.models.items() if name in wanted},
        {name: every.suites[name] for name in sorted(wanted)},
        every.layouts,
        deid={name: every.deid[name] for name in sorted(wanted)},
    )


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted(map(dict, rows), key=lambda row: json.dumps(row, sort_keys=True, default=str))


def utc(value: Any) -> Any:
    """A time in UTC; any other value as it is."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _by_sql_name(types: Iterable[ItemType]) -> dict[str, ItemType]:
    return {each.sql_name: each for each in types}


def _specs(item_type: ItemType) -> tuple[TableSpec, TableSpec]:
    """Current and history as the conform job declares them; curate reads what both have."""
    current, _ = table_specs(item_type)
    return current, TableSpec(f"{current.name}_history", current.columns)


def patient(id_: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": f"F{id_}", "given": ["G"]}], **more}


def encounter(id_: str, patient_id: str | None, start: str | None, end: str | None = None) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Encounter",
        "id": id_,
        "status": "finished",
        "class": {"code": "AMB"},
        "period": {name: value for name, value in (("start", start), ("end", end)) if value},
    }
    return {**resource, "subject": {"reference": f"Patient/{patient_id}"}} if patient_id else resource


def reading(at: datetime, patient_id: str | None, one: str | None = "1.5", two: str | None = "2") -> Item:
    return {
        "site_id": "s1",
        "created_at_time": at,
        "value_one": None if one is None else Decimal(one),
        "value_two": None if two is None else Decimal(two),
        "patient_id": patient_id,
    }


def home(patient_id: str, number: int, *, current: bool = True, since: date | None = None) -> Item:
    return {
        "id": patient_id,
        "sk": f"ADDRESS#{number:03d}",
        "item_type": "Address",
        "line": f"{number} Mill Road",
        "is_current": current,
        "valid_from": since,
    }
