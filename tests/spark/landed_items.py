"""Item types, stream records and landing objects for the tests of ``conform_items``."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from pyspark.sql import SparkSession

from glue_jobs.conform.items import conform_items
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.run import Run, job_run
from lambdas.land_item_changes.sink import plan_batch
from lambdas.partition_item_changes.transform import plan_transform
from lambdas.shared.item_change import ItemTypeIndex, Landed
from lambdas.shared.landing_object import LandingObject
from schemas.item_type import ItemType, read_item_type

LANDED = Landed(datetime(2026, 3, 1, 12, 0, tzinfo=UTC), "test:1")
Image = Mapping[str, Any]


def declare(folder: Path, name: str, table_name: str, **fields: Any) -> ItemType:
    """An item type from the YAML that a user would write; attributes as ``name: type``."""
    for part in ("keys", "attributes"):
        fields[part] = {
            attribute: {"type": declared, "description": attribute} if isinstance(declared, str) else declared
            for attribute, declared in fields[part].items()
        }
    file = folder / f"{name}.yaml"
    declaration = {"name": name, "table_name": table_name, "description": f"{name}.", **fields}
    file.write_text(yaml.safe_dump(declaration, sort_keys=False))
    return read_item_type(file)


def stream_record(
    table_name: str,
    sequence: int,
    keys: Image,
    new: Image | None,
    old: Image | None = None,
    *,
    at: float = 1_772_000_000,
    expired: bool = False,
) -> dict[str, Any]:
    """A record as Lambda passes it; images in DynamoDB JSON, without their keys."""
    name = "REMOVE" if new is None else "INSERT" if old is None else "MODIFY"
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": at,
        "Keys": dict(keys),
        "SequenceNumber": str(sequence),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if new is not None:
        change["NewImage"] = {**keys, **new}
    if old is not None:
        change["OldImage"] = {**keys, **old}
    record: dict[str, Any] = {
        "eventID": f"{sequence:032x}",
        "eventName": name,
        "eventSource": "aws:dynamodb",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table_name}/stream/2026-01-01",
        "dynamodb": change,
    }
    if expired:
        record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return record


@dataclass
class Lake:
    """The landing zone and the job of one test; its tables and its ledger are its own by name."""

    spark: SparkSession
    landing: Path
    landing_uri: str
    item_types: Sequence[ItemType]
    job: str
    runs: list[Run] = field(default_factory=list)

    def land(self, records: Iterable[Mapping[str, Any]]) -> list[LandingObject]:
        """Land a batch as the function does."""
        plan = plan_batch(list(records), ItemTypeIndex(self.item_types), LANDED)
        for each in plan.objects:
            self.write(each.key, each.body())
        return list(plan.objects)

    def land_by_firehose(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Land a batch as Firehose and its function do: what the function answers, an object per partition,
        and what it writes itself."""
        batch = [
            {"recordId": str(number), "data": b64encode(json.dumps(each).encode()).decode()}
            for number, each in enumerate(records)
        ]
        plan = plan_transform(batch, ItemTypeIndex(self.item_types), LANDED)
        bodies: dict[str, bytes] = {}
        for answer in plan.answers:
            if answer["result"] == "Ok":
                partition = answer["metadata"]["partitionKeys"]["partition"]
                bodies[partition] = bodies.get(partition, b"") + b64decode(answer["data"])
        for partition, body in bodies.items():
            self.write(f"{partition}watershed-items-1-{uuid4()}.ndjson.gz", gzip.compress(body))
        for each in plan.objects:
            self.write(each.key, each.body())

    def write(self, key: str, body: bytes) -> None:
        path = self.landing / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def conform(self, *, full: bool = False) -> Run:
        """Run the job over what is new."""
        with job_run(self.spark, JobArguments(self.landing_uri, full=full), self.job) as run:
            self.runs.append(run)
            conform_items(run, self.item_types)
        return run

    def rows(self, item_type: ItemType, suffix: str = "") -> list[dict[str, Any]]:
        """A table's rows; timestamps are naive UTC as ``collect`` would shift them to the local zone."""
        frame = self.spark.table(f"lake.watershed_conformed.{item_type.sql_name}{suffix}")
        times = [each.name for each in frame.schema if each.dataType.typeName() == "timestamp"]
        texts = frame.withColumns({name: frame[name].cast("string") for name in times})
        return [row.asDict() for row in texts.collect()]

    def quarantined(self) -> list[dict[str, Any]]:
        """Rows of ops.quarantine that this test's runs made."""
        if not self.spark.catalog.tableExists("lake.watershed_ops.quarantine"):
            return []
        table = self.spark.table("lake.watershed_ops.quarantine")
        rows = table.where(table.run_id.isin([run.run_id for run in self.runs])).collect()
        return [row.asDict() for row in rows]


def normal(text: str | None) -> Any:
    """JSON text with its numbers as written, for comparisons."""
    return None if text is None else json.loads(text, parse_float=str, parse_int=str)


def table_safe(name: str) -> str:
    """A test's name as an item type may be called."""
    return re.sub(r"[\W_]", "", name.title())
