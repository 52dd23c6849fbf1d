"""A crawl as Glue performs it on catalog targets: new partition folders become partitions.

Columns of tables are never touched. Partitions inherit them, new and old ones alike (``InheritFromTable``): those
that a table had before its declaration changed are brought into line. Folders that are gone are reported and left
in the catalog (``DeleteBehavior`` LOG), as the crawlers' declarations say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.glue.errors import CrawlError
from local.glue.partitions import partition_folders

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import PartitionInputTypeDef, PartitionTypeDef, TableTypeDef
    from mypy_boto3_s3 import S3Client

_BATCH = 100
"""The most partitions that ``BatchCreatePartition`` takes."""

_INHERITED = ("Columns", "InputFormat", "OutputFormat", "SerdeInfo", "Compressed")
"""What a query reads a partition by."""


@dataclass(frozen=True)
class TableCrawl:
    """What one crawl found at one table.

    ``added``, ``present`` (before), ``updated`` and ``gone`` are of partitions; ``ignored`` tells of folders that
    are none.
    """

    table: str
    added: int
    present: int
    updated: int
    gone: tuple[str, ...]
    ignored: Mapping[str, str]

    def summary(self) -> dict[str, Any]:
        return {**asdict(self), "gone": list(self.gone)}


def crawl(crawler: Mapping[str, Any], glue: GlueClient, s3: S3Client) -> list[TableCrawl]:
    """Crawl every target of ``crawler`` (the shape of ``GetCrawler``).

    Raises
    ------
    CrawlError : a target is none that exists, or none that is crawled here
    """
    return [_crawl_table(table, glue, s3) for table in _targets(crawler, glue)]


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


def _crawl_table(table: TableTypeDef, glue: GlueClient, s3: S3Client) -> TableCrawl:
    storage = table["StorageDescriptor"]
    location = storage["Location"].rstrip("/") + "/"
    partition_keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    folders = partition_folders(_keys_below(location, s3), partition_keys)
    known = _known_partitions(table, glue)
    new = {values: folder for values, folder in folders.found.items() if values not in known}
    inputs: list[PartitionInputTypeDef] = [
        {"Values": list(values), "StorageDescriptor": {**storage, "Location": f"{location}{folder}/"}}
        for values, folder in sorted(new.items())
    ]
    added = sum(_add(table, inputs[start : start + _BATCH], glue) for start in range(0, len(inputs), _BATCH))
    updated = sum(_inherit(table, partition, glue) for partition in known.values())
    gone = sorted("/".join(values) for values in known.keys() - folders.found.keys())
    return TableCrawl(table["Name"], added, len(known), updated, tuple(gone), folders.ignored)


def _keys_below(location: str, s3: S3Client) -> Iterator[str]:
    place = urlsplit(location, allow_fragments=False)
    prefix = place.path.lstrip("/")
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix):
            for each in page.get("Contents", []):
                yield each["Key"][len(prefix) :]
    except s3.exceptions.NoSuchBucket:
        raise CrawlError(f"There is no bucket {place.netloc}. Create it: watershed deploy") from None


def _known_partitions(table: TableTypeDef, glue: GlueClient) -> dict[tuple[str, ...], PartitionTypeDef]:
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName=table["DatabaseName"], TableName=table["Name"]
    )
    return {tuple(each["Values"]): each for page in pages for each in page["Partitions"]}


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
