"""A crawl as Glue performs it on catalog targets: new partition folders become partitions.

A crawler in event mode lists everything until a crawl has succeeded with the properties that it has now, and from
then on only the folders that the events in its queue name. Any other lists everything each time.

Columns of tables are never touched; what differs from them in new partitions is told. Partitions inherit them, new and old ones alike (``InheritFromTable``): those
that a table had before its declaration changed are brought into line, where the crawl comes by. Folders that are
gone are reported and left in the catalog (``DeleteBehavior`` LOG), as the crawlers' declarations say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.glue.crawl_events import MAX_MESSAGES, delete_events, give_back, queue_url, read_events
from local.glue.drift import drift, first_line
from local.glue.errors import CrawlError
from local.glue.partitions import Folders, partition_folders

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import (
        PartitionInputTypeDef,
        PartitionTypeDef,
        PartitionValueListTypeDef,
        TableTypeDef,
    )
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

CRAWLED_WITH = "CrawledWith"
"""Where the emulator's record of a crawler keeps the ``properties`` of its last crawl that succeeded."""

_PROPERTIES = (
    "Targets",
    "DatabaseName",
    "Role",
    "Classifiers",
    "TablePrefix",
    "SchemaChangePolicy",
    "RecrawlPolicy",
    "LineageConfiguration",
    "Configuration",
)
"""What decides on what a crawl does: all but names, schedule and encryption of logs."""

_CREATED_AT_ONCE = 100
"""The most partitions that ``BatchCreatePartition`` takes."""

_READ_AT_ONCE = 1000
"""The most that ``BatchGetPartition`` takes."""

_SAMPLED = 20
"""Objects of a table that one crawl looks into, each of another new partition."""

_INHERITED = ("Columns", "InputFormat", "OutputFormat", "SerdeInfo", "Compressed")
"""What a query reads a partition by."""


@dataclass(frozen=True)
class TableCrawl:
    """What one crawl found at one table.

    ``added``, ``present`` (before), ``updated`` and ``gone`` are of partitions, by events only of those that they
    name; ``ignored`` tells of folders that are none, ``drift`` of fields that differ from the columns.
    """

    table: str
    added: int
    present: int
    updated: int
    gone: tuple[str, ...]
    ignored: Mapping[str, str]
    drift: Mapping[str, str]

    def summary(self) -> dict[str, Any]:
        return {**asdict(self), "gone": list(self.gone)}


@dataclass(frozen=True)
class Crawl:
    """What one crawl found; ``messages`` is how many of S3's it went by, None where it listed everything."""

    tables: tuple[TableCrawl, ...] = ()
    messages: int | None = None


def properties(crawler: Mapping[str, Any]) -> str:
    """A hash over what a crawl of ``crawler`` (the shape of ``GetCrawler``) goes by."""
    decisive = {name: crawler[name] for name in _PROPERTIES if crawler.get(name)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def crawl(crawler: Mapping[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient) -> Crawl:
    """Crawl every target of ``crawler`` (the shape of ``GetCrawler``).

    Raises
    ------
    CrawlError : a target is none that exists, or none that is crawled here
    """
    tables = list(_targets(crawler, glue))
    if crawler.get("RecrawlPolicy", {}).get("RecrawlBehavior") != "CRAWL_EVENT_MODE":
        return Crawl(tuple(_crawl_all(table, glue, s3) for table in tables))
    url = _queue(crawler, sqs)
    events = read_events(url, sqs, MAX_MESSAGES)
    listing = crawler.get(CRAWLED_WITH) != properties(crawler)
    try:
        if listing:
            # What the events tell is seen as well.
            crawled = tuple(_crawl_all(table, glue, s3) for table in tables)
        else:
            crawled = tuple(_crawl_named(table, events.objects, glue, s3) for table in tables)
    except BaseException:
        give_back(url, events, sqs)
        raise
    delete_events(url, events, sqs)
    return Crawl(crawled, None if listing else len(events.receipts))


def _targets(crawler: Mapping[str, Any], glue: GlueClient) -> Iterator[TableTypeDef]:
    targets = crawler.get("Targets", {})
    name = crawler.get("Name")
    others = sorted(kind for kind, each in targets.items() if each and kind != "CatalogTargets")
    if others:
        raise CrawlError(f"Crawler {name}: {others[0]} are not crawled here; declare the table and target it")
    for target in targets.get("CatalogTargets", []):
        for table in target["Tables"]:
            try:
                yield glue.get_table(DatabaseName=target["DatabaseName"], Name=table)["Table"]
            except glue.exceptions.EntityNotFoundException:
                missing = f"{target['DatabaseName']}.{table}"
                raise CrawlError(
                    f"Crawler {name}: there is no table {missing}. Create it: watershed deploy"
                ) from None


def _queue(crawler: Mapping[str, Any], sqs: SQSClient) -> str:
    """The URL of the queue of a crawler in event mode, which has one target."""
    name, targets = crawler.get("Name"), crawler["Targets"]["CatalogTargets"]
    if len(targets) != 1 or not targets[0].get("EventQueueArn"):
        raise CrawlError(f"Crawler {name}: event mode takes one target, with the ARN of its queue")
    arn = targets[0]["EventQueueArn"]
    try:
        return queue_url(arn, sqs)
    except sqs.exceptions.QueueDoesNotExist:
        raise CrawlError(f"Crawler {name}: there is no queue {arn}. Create it: watershed deploy") from None


def _crawl_all(table: TableTypeDef, glue: GlueClient, s3: S3Client) -> TableCrawl:
    folders = partition_folders(_keys_below(table, "", s3), _partition_keys(table))
    return _bring_into_line(table, folders, _known_partitions(table, glue), glue, s3)


def _crawl_named(
    table: TableTypeDef, objects: set[tuple[str, str]], glue: GlueClient, s3: S3Client
) -> TableCrawl:
    """Look at the folders of this table that hold, or held, one of the objects (bucket and key)."""
    bucket, prefix = _place(table)
    below = (key[len(prefix) :] for home, key in objects if home == bucket and key.startswith(prefix))
    named = partition_folders(below, _partition_keys(table))
    listed = chain.from_iterable(_keys_below(table, f"{folder}/", s3) for folder in named.found.values())
    there = partition_folders(listed, _partition_keys(table))
    known = _named_partitions(table, list(named.found), glue)
    return _bring_into_line(table, replace(there, ignored=named.ignored), known, glue, s3)


def _bring_into_line(
    table: TableTypeDef,
    folders: Folders,
    known: Mapping[tuple[str, ...], PartitionTypeDef],
    glue: GlueClient,
    s3: S3Client,
) -> TableCrawl:
    """The catalog as the folders are: ``known`` are those of its partitions that they are compared with."""
    storage = table["StorageDescriptor"]
    location = storage["Location"].rstrip("/")
    inputs: list[PartitionInputTypeDef] = [
        {"Values": list(values), "StorageDescriptor": {**storage, "Location": f"{location}/{folder}/"}}
        for values, folder in sorted(folders.found.items())
        if values not in known
    ]
    added = sum(
        _add(table, inputs[start : start + _CREATED_AT_ONCE], glue)
        for start in range(0, len(inputs), _CREATED_AT_ONCE)
    )
    updated = sum(_inherit(table, partition, glue) for partition in known.values())
    gone = sorted("/".join(values) for values in known.keys() - folders.found.keys())
    new = [key for values, key in sorted(folders.first.items()) if values not in known]
    return TableCrawl(
        table["Name"], added, len(known), updated, tuple(gone), folders.ignored, _drift(table, new, s3)
    )


def _drift(table: TableTypeDef, keys: Sequence[str], s3: S3Client) -> dict[str, str]:
    """What differs from the table's columns in the first line of some of these objects, where it is of JSON."""
    if table.get("Parameters", {}).get("classification") != "json":
        return {}
    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    bucket, prefix = _place(table)
    found: dict[str, str] = {}
    for key in keys[:_SAMPLED]:
        line = first_line(bucket, prefix + key, s3)
        found |= drift(line, columns) if line else {}
    return found


def _partition_keys(table: TableTypeDef) -> list[str]:
    return [key["Name"] for key in table.get("PartitionKeys", [])]


def _place(table: TableTypeDef) -> tuple[str, str]:
    """The bucket and the prefix, which ends with ``/``, of a table."""
    place = urlsplit(table["StorageDescriptor"]["Location"].rstrip("/") + "/", allow_fragments=False)
    return place.netloc, place.path.lstrip("/")


def _keys_below(table: TableTypeDef, folder: str, s3: S3Client) -> Iterator[str]:
    """The keys in ``folder`` of the table, which is empty or ends with ``/``; all are relative to the table."""
    bucket, prefix = _place(table)
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + folder):
            for each in page.get("Contents", []):
                yield each["Key"][len(prefix) :]
    except s3.exceptions.NoSuchBucket:
        raise CrawlError(f"There is no bucket {bucket}. Create it: watershed deploy") from None


def _known_partitions(table: TableTypeDef, glue: GlueClient) -> dict[tuple[str, ...], PartitionTypeDef]:
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName=table["DatabaseName"], TableName=table["Name"]
    )
    return {tuple(each["Values"]): each for page in pages for each in page["Partitions"]}


def _named_partitions(
    table: TableTypeDef, named: Sequence[tuple[str, ...]], glue: GlueClient
) -> dict[tuple[str, ...], PartitionTypeDef]:
    """Those of the partitions with these values that the catalog has."""
    found: dict[tuple[str, ...], PartitionTypeDef] = {}
    for start in range(0, len(named), _READ_AT_ONCE):
        some: list[PartitionValueListTypeDef] = [
            {"Values": list(values)} for values in named[start : start + _READ_AT_ONCE]
        ]
        reply = glue.batch_get_partition(
            DatabaseName=table["DatabaseName"], TableName=table["Name"], PartitionsToGet=some
        )
        found |= {tuple(each["Values"]): each for each in reply["Partitions"]}
    return found


def _inherit(table: TableTypeDef, partition: PartitionTypeDef, glue: GlueClient) -> bool:
    """Whether the partition differed from its table in more than its place, and no longer does."""
    old = partition["StorageDescriptor"]
    new = {**table["StorageDescriptor"], "Location": old["Location"]}
    if any(old.get(each) != new.get(each) for each in _INHERITED):
        glue.update_partition(
            DatabaseName=table["DatabaseName"],
            TableName=table["Name"],
            PartitionValueList=partition["Values"],
            PartitionInput={
                "Values": partition["Values"],
                "StorageDescriptor": new,  # type: ignore[typeddict-item]
                "Parameters": partition.get("Parameters", {}),
            },
        )
        return True
    return False


def _add(table: TableTypeDef, inputs: Sequence[PartitionInputTypeDef], glue: GlueClient) -> int:
    """How many were added; one that someone else added meanwhile is none of ours."""
    reply = glue.batch_create_partition(
        DatabaseName=table["DatabaseName"], TableName=table["Name"], PartitionInputList=inputs
    )
    errors = reply.get("Errors", [])
    for error in errors:
        if error.get("ErrorDetail", {}).get("ErrorCode") != "AlreadyExistsException":
            detail = error.get("ErrorDetail", {}).get("ErrorMessage", "unknown")
            raise CrawlError(f"{table['Name']}: a partition could not be added: {detail}")
    return len(inputs) - len(errors)
