"""A crawl of catalog targets, against what Glue documents of it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from crawlers import load_crawlers, table_input
from local.glue.crawler import Crawl, TableCrawl, crawl
from local.glue.errors import CrawlError
from local.glue.partitions import partition_folders
from schemas import item_change_tables, load_item_types, load_landing_tables
from tests.unit.local_glue.conftest import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

DATABASE = "watershed_landing"
SITE = "items/table_name=watershed-site-activity/item_type=SiteActivity"
HOUR = "year=2025/month=01/day=31/hour=23"


@pytest.fixture
def crawler(glue: GlueClient) -> dict[str, Any]:
    """The declared crawler of item changes, over tables as they are deployed."""
    glue.create_database(DatabaseInput={"Name": DATABASE})
    landing = load_landing_tables()
    for table in item_change_tables(landing["item_change"], load_item_types().values()).values():
        glue.create_table(DatabaseName=DATABASE, TableInput=table_input(table, BUCKET))  # type: ignore[arg-type]
    declared = next(each for each in load_crawlers() if each.name == "landing-items")
    return {"Name": declared.name, "Targets": declared.targets(DATABASE)}


def put(s3: S3Client, key: str) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")


def site(result: Crawl) -> TableCrawl:
    return next(each for each in result.tables if each.table == "site_activity_change")


def partitions(glue: GlueClient) -> dict[tuple[str, ...], str]:
    found = glue.get_partitions(DatabaseName=DATABASE, TableName="site_activity_change")["Partitions"]
    return {tuple(each["Values"]): each["StorageDescriptor"]["Location"] for each in found}


def test_new_folders_become_partitions_with_decoded_values(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    put(s3, f"{SITE}/siteId=north%2Fwing 2/{HOUR}/a.ndjson.gz")
    put(s3, f"{SITE}/siteId=north%2Fwing 2/{HOUR}/b.ndjson.gz")
    put(s3, f"{SITE}/siteId=__HIVE_DEFAULT_PARTITION__/{HOUR}/c.ndjson.gz")
    assert site(crawl(crawler, glue, s3, sqs)).added == 2
    time = ("2025", "01", "31", "23")
    assert partitions(glue) == {
        ("north/wing 2", *time): f"s3://{BUCKET}/{SITE}/siteId=north%2Fwing 2/{HOUR}/",
        (
            "__HIVE_DEFAULT_PARTITION__",
            *time,
        ): f"s3://{BUCKET}/{SITE}/siteId=__HIVE_DEFAULT_PARTITION__/{HOUR}/",
    }


def test_partitions_inherit_the_tables_format_and_columns_which_stay(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    before = glue.get_table(DatabaseName=DATABASE, Name="site_activity_change")["Table"]
    put(s3, f"{SITE}/siteId=1/{HOUR}/a.ndjson.gz")
    crawl(crawler, glue, s3, sqs)
    after = glue.get_table(DatabaseName=DATABASE, Name="site_activity_change")["Table"]
    assert after["StorageDescriptor"] == before["StorageDescriptor"]
    (partition,) = glue.get_partitions(DatabaseName=DATABASE, TableName="site_activity_change")["Partitions"]
    for inherited in ("Columns", "SerdeInfo", "InputFormat"):
        assert partition["StorageDescriptor"][inherited] == before["StorageDescriptor"][inherited]


def test_a_second_crawl_of_nothing_new_does_nothing(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    put(s3, f"{SITE}/siteId=1/{HOUR}/a.ndjson.gz")
    crawl(crawler, glue, s3, sqs)
    before = partitions(glue)
    again = site(crawl(crawler, glue, s3, sqs))
    assert (again.added, again.present, again.updated, again.gone, again.ignored) == (0, 1, 0, (), {})
    put(s3, f"{SITE}/siteId=1/{HOUR}/late.ndjson.gz")
    assert site(crawl(crawler, glue, s3, sqs)).added == 0
    assert partitions(glue) == before


def test_partitions_from_before_a_change_of_the_declaration_are_brought_into_line(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    """ "Update all new and existing partitions with metadata from the table", as the console calls it."""
    put(s3, f"{SITE}/siteId=1/{HOUR}/a.ndjson.gz")
    crawl(crawler, glue, s3, sqs)
    before = partitions(glue)
    table = glue.get_table(DatabaseName=DATABASE, Name="site_activity_change")["Table"]
    columns = [*table["StorageDescriptor"]["Columns"], {"Name": "added_later", "Type": "string"}]
    declared: Any = {
        "Name": table["Name"],
        "PartitionKeys": table["PartitionKeys"],
        "StorageDescriptor": {**table["StorageDescriptor"], "Columns": columns},
    }
    glue.update_table(DatabaseName=DATABASE, TableInput=declared)
    assert site(crawl(crawler, glue, s3, sqs)).updated == 1
    (partition,) = glue.get_partitions(DatabaseName=DATABASE, TableName="site_activity_change")["Partitions"]
    assert partition["StorageDescriptor"]["Columns"] == columns
    assert partitions(glue) == before, "where it lies is its own"
    assert site(crawl(crawler, glue, s3, sqs)).updated == 0


def test_what_differs_from_the_columns_is_told_and_the_table_stays(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    before = glue.get_table(DatabaseName=DATABASE, Name="site_activity_change")["Table"]
    drifted = b'{"event_id": "e1", "expired": "no", "added_later": {"a": 1}}\n'
    s3.put_object(Bucket=BUCKET, Key=f"{SITE}/siteId=1/{HOUR}/a.ndjson.gz", Body=gzip.compress(drifted))
    told = site(crawl(crawler, glue, s3, sqs))
    assert told.added == 1
    assert told.drift == {
        "expired": "is declared boolean; holds string",
        "added_later": "is not declared; holds object",
    }
    after = glue.get_table(DatabaseName=DATABASE, Name="site_activity_change")["Table"]
    assert after["StorageDescriptor"] == before["StorageDescriptor"]
    assert site(crawl(crawler, glue, s3, sqs)).drift == {}, "once, when the partition is new"


def test_a_removed_folder_is_reported_and_its_partition_kept(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    put(s3, f"{SITE}/siteId=1/{HOUR}/a.ndjson.gz")
    crawl(crawler, glue, s3, sqs)
    s3.delete_object(Bucket=BUCKET, Key=f"{SITE}/siteId=1/{HOUR}/a.ndjson.gz")
    assert site(crawl(crawler, glue, s3, sqs)).gone == ("1/2025/01/31/23",)
    assert len(partitions(glue)) == 1


def test_more_partitions_than_one_request_takes(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    for number in range(101):
        put(s3, f"{SITE}/siteId={number}/{HOUR}/a.ndjson.gz")
    assert site(crawl(crawler, glue, s3, sqs)).added == 101


def test_a_target_that_does_not_exist_is_named(glue: GlueClient, s3: S3Client, sqs: SQSClient) -> None:
    targets = {"CatalogTargets": [{"DatabaseName": DATABASE, "Tables": ["nothing"]}]}
    with pytest.raises(CrawlError, match=f"Crawler c: there is no table {DATABASE}.nothing"):
        crawl({"Name": "c", "Targets": targets}, glue, s3, sqs)


def test_targets_of_other_kinds_are_refused_rather_than_passed_over(
    glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    with pytest.raises(CrawlError, match="S3Targets are not crawled"):
        crawl({"Name": "c", "Targets": {"S3Targets": [{"Path": f"s3://{BUCKET}/x"}]}}, glue, s3, sqs)


def test_a_missing_bucket_is_named(
    crawler: dict[str, Any], glue: GlueClient, s3: S3Client, sqs: SQSClient
) -> None:
    s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(CrawlError, match=f"no bucket {BUCKET}"):
        crawl(crawler, glue, s3, sqs)


KEYS = ("site_id", "year")


@pytest.mark.parametrize(
    "key", ["_tmp/year=2025/a", "site_id=1/year=2025/_a", "site_id=1/.year/a", "site_id=1/year=2025/"]
)
def test_what_is_no_data_is_passed_over(key: str) -> None:
    folders = partition_folders([key], KEYS)
    assert (folders.found, folders.ignored) == ({}, {})


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("a.ndjson", "lies above the partitions site_id/year"),
        ("site_id=1/a.ndjson", "lies above the partitions site_id/year"),
        ("1/2025/a.ndjson", "1 is not site_id=<value>"),
        ("year=2025/site_id=1/a.ndjson", "year stands where site_id is declared"),
    ],
)
def test_a_folder_that_is_no_partition_is_reported(key: str, problem: str) -> None:
    folders = partition_folders([key], KEYS)
    assert folders.found == {}
    assert list(folders.ignored.values()) == [problem]


def test_folders_below_the_partitions_belong_to_them() -> None:
    folders = partition_folders(["site_id=1/year=2025/more/a"], KEYS)
    assert folders.found == {("1", "2025"): "site_id=1/year=2025"}
