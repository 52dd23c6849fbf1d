"""A crawl in event mode, against what Glue documents of it. The notifications are S3's own, as moto sends them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from crawlers import EventQueue, load_crawlers, table_input
from local.glue import crawl_events
from local.glue.crawler import CRAWLED_WITH, Crawl, TableCrawl, crawl, properties
from local.glue.errors import CrawlError
from schemas import item_change_tables, load_item_types, load_landing_tables
from tests.unit.local_glue.conftest import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

DATABASE = "watershed_landing"
SITE = "items/table_name=watershed-site-activity/item_type=SiteActivity"
REGISTRY = "items/table_name=watershed-registry/item_type=Patient"
TIME = "year=2025/month=01/day=31"
ALL_READ = {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}


@dataclass
class Landing:
    """The declared crawler of item changes in event mode, and a landing zone that tells its queue."""

    crawler: dict[str, Any]
    url: str
    glue: GlueClient
    s3: S3Client
    sqs: SQSClient

    def put(self, *keys: str) -> None:
        for key in keys:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")

    def put_unheard(self, key: str) -> None:
        """What no event tells of: it came before there was a queue, or its event was lost."""
        told = self.s3.get_bucket_notification_configuration(Bucket=BUCKET)
        self.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
        self.put(key)
        kept: Any = {"QueueConfigurations": told["QueueConfigurations"]}
        self.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=kept)

    def crawl(self) -> Crawl:
        """As the emulator has it crawled: what succeeded is on the record."""
        done = crawl(self.crawler, self.glue, self.s3, self.sqs)
        self.crawler[CRAWLED_WITH] = properties(self.crawler)
        return done

    def waiting(self) -> dict[str, str]:
        names: Any = list(ALL_READ)
        attributes: Any = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return dict(attributes)

    def partitions(self, table: str = "site_activity_change") -> set[tuple[str, ...]]:
        found = self.glue.get_partitions(DatabaseName=DATABASE, TableName=table)["Partitions"]
        return {tuple(each["Values"]) for each in found}


@pytest.fixture
def landing(glue: GlueClient, s3: S3Client, sqs: SQSClient) -> Landing:
    glue.create_database(DatabaseInput={"Name": DATABASE})
    for table in item_change_tables(
        load_landing_tables()["item_change"], load_item_types().values()
    ).values():
        glue.create_table(DatabaseName=DATABASE, TableInput=table_input(table, BUCKET))  # type: ignore[arg-type]
    url = sqs.create_queue(QueueName="items-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    declared = next(each for each in load_crawlers() if each.name == "landing-items")
    rules: Any = [{"Name": "prefix", "Value": declared.event_prefixes[0]}]
    events: Any = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": arn, "Events": events, "Filter": {"Key": {"FilterRules": rules}}}
            ]
        },
    )
    queue = EventQueue(arn, f"{arn}-dlq")
    crawler = {
        "Name": declared.name,
        "Targets": declared.targets(DATABASE, queue),
        "RecrawlPolicy": declared.recrawl_policy(queue),
        "Configuration": declared.configuration,
    }
    return Landing(crawler, url, glue, s3, sqs)


def site(result: Crawl) -> TableCrawl:
    return next(each for each in result.tables if each.table == "site_activity_change")


def test_the_first_crawl_lists_everything(landing: Landing) -> None:
    landing.put_unheard(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    done = landing.crawl()
    assert (done.messages, site(done).added) == (None, 1)


def test_later_crawls_look_only_where_events_say(landing: Landing) -> None:
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    landing.crawl()
    landing.put_unheard(f"{SITE}/siteId=1/{TIME}/hour=02/a")
    landing.put(
        f"{SITE}/siteId=1/{TIME}/hour=03/a",
        f"{SITE}/siteId=1/{TIME}/hour=03/b",
        f"{REGISTRY}/{TIME}/hour=03/a",
    )
    done = landing.crawl()
    assert done.messages == 4, "three objects, and the test that S3 sends when it takes a configuration"
    assert landing.partitions() == {("1", "2025", "01", "31", hour) for hour in ("01", "03")}
    assert landing.partitions("patient_change") == {("2025", "01", "31", "03")}
    assert landing.waiting() == ALL_READ


def test_a_crawl_without_events_does_nothing(landing: Landing) -> None:
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    landing.crawl()
    done = landing.crawl()
    assert done.messages == 0
    assert {(each.added, each.present, each.updated, each.gone) for each in done.tables} == {(0, 0, 0, ())}


def test_keys_are_decoded_as_s3_encodes_them(landing: Landing) -> None:
    landing.crawl()
    landing.put(f"{SITE}/siteId=north%2Fwing 2+ü/{TIME}/hour=01/a b.ndjson.gz")
    landing.crawl()
    assert landing.partitions() == {("north/wing 2+ü", "2025", "01", "31", "01")}


def test_an_object_in_a_known_partition_adds_nothing(landing: Landing) -> None:
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    landing.crawl()
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/late")
    done = site(landing.crawl())
    assert (done.added, done.present, done.updated, done.gone) == (0, 1, 0, ())


def test_a_folder_emptied_is_reported_and_its_partition_kept(landing: Landing) -> None:
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    landing.crawl()
    landing.s3.delete_object(Bucket=BUCKET, Key=f"{SITE}/siteId=1/{TIME}/hour=01/a")
    done = landing.crawl()
    assert done.messages == 1
    assert site(done).gone == ("1/2025/01/31/01",)
    assert len(landing.partitions()) == 1


def test_a_folder_that_came_and_went_is_none(landing: Landing) -> None:
    landing.crawl()
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    landing.s3.delete_object(Bucket=BUCKET, Key=f"{SITE}/siteId=1/{TIME}/hour=01/a")
    done = landing.crawl()
    assert (done.messages, site(done).added, site(done).gone) == (2, 0, ())
    assert landing.partitions() == set()


def test_a_stray_object_is_reported_and_done_with(landing: Landing) -> None:
    landing.crawl()
    landing.put(f"{SITE}/stray", "items/elsewhere/a")
    assert site(landing.crawl()).ignored == {"stray": "lies above the partitions site_id/year/month/day/hour"}
    assert landing.waiting() == ALL_READ


@pytest.mark.parametrize(
    ("change", "lists"),
    [
        ({"Configuration": '{"Version":1.0}'}, True),
        ({"SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE"}}, True),
        ({"Description": "the same, in other words"}, False),
        ({"Schedule": {"ScheduleExpression": "cron(0 * * * ? *)"}}, False),
    ],
)
def test_a_crawl_after_a_change_of_what_it_does_lists_everything(
    landing: Landing, change: dict[str, Any], lists: bool
) -> None:
    landing.crawl()
    landing.put_unheard(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    landing.crawler |= change
    done = landing.crawl()
    assert (done.messages is None) == lists
    assert bool(landing.partitions()) == lists


def test_what_events_told_before_everything_was_listed_is_not_read_again(landing: Landing) -> None:
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    assert site(landing.crawl()).added == 1
    assert landing.crawl().messages == 0


def test_a_crawl_that_fails_leaves_its_events_to_the_next(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.crawl()
    landing.put(f"{SITE}/siteId=1/{TIME}/hour=01/a")
    with monkeypatch.context() as patched:
        patched.setattr("local.glue.crawler._add", _refuse)
        with pytest.raises(CrawlError):
            landing.crawl()
    assert landing.partitions() == set()
    done = landing.crawl()
    assert (done.messages, site(done).added) == (1, 1)


def _refuse(*_: object) -> int:
    raise CrawlError("no")


def test_one_crawl_reads_so_many_and_the_next_the_others(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert crawl_events.MAX_MESSAGES == 100_000
    monkeypatch.setattr("local.glue.crawler.MAX_MESSAGES", 12)
    landing.crawl()
    landing.put(*(f"{SITE}/siteId={number}/{TIME}/hour=01/a" for number in range(15)))
    assert [landing.crawl().messages for _ in range(3)] == [12, 3, 0]
    assert len(landing.partitions()) == 15


def test_what_s3_did_not_send_stays_in_the_queue(landing: Landing) -> None:
    """After a few receives SQS moves it to the dead letters."""
    landing.crawl()
    for body in ("no JSON", "[]", "{}", '{"Records": [{"s3": {}}]}'):
        landing.sqs.send_message(QueueUrl=landing.url, MessageBody=body)
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}
    landing.sqs.send_message(QueueUrl=landing.url, MessageBody=json.dumps(test))
    assert landing.crawl().messages == 1
    assert landing.waiting()["ApproximateNumberOfMessagesNotVisible"] == "4"


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        ([{"DatabaseName": DATABASE, "Tables": ["patient_change"]}], "takes one target, with the ARN"),
        ([], "takes one target"),
        (
            [
                {
                    "DatabaseName": DATABASE,
                    "Tables": ["patient_change"],
                    "EventQueueArn": "arn:aws:sqs:r:1:none",
                }
            ],
            "there is no queue arn:aws:sqs:r:1:none",
        ),
    ],
)
def test_event_mode_needs_one_target_and_its_queue(
    landing: Landing, targets: list[dict[str, Any]], problem: str
) -> None:
    landing.crawler["Targets"] = {"CatalogTargets": targets}
    with pytest.raises(CrawlError, match=problem):
        landing.crawl()
