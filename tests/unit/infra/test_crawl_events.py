"""Crawls by events, as they are deployed: each crawler with its queue, and the bucket that feeds it."""

from __future__ import annotations

from typing import Any

import pytest

from crawlers import Crawler, load_crawlers
from infra.policies import flat
from tests.unit.infra.assemblies import template, variant

DECLARED = load_crawlers()


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = template(variant("joined"))["Resources"]
    return found


def _named(resources: dict[str, dict[str, Any]], kind: str, name: str, value: str) -> dict[str, Any]:
    (properties,) = (
        each["Properties"]
        for each in resources.values()
        if each["Type"] == kind and each["Properties"].get(name) == value
    )
    return dict(properties)


def _queue_id(resources: dict[str, dict[str, Any]], name: str) -> str:
    (found,) = (
        logical_id
        for logical_id, each in resources.items()
        if each["Type"] == "AWS::SQS::Queue" and each["Properties"]["QueueName"] == name
    )
    return found


@pytest.mark.parametrize("declared", DECLARED, ids=lambda each: each.name)
def test_each_crawler_reads_its_queue_and_has_one_target(
    resources: dict[str, dict[str, Any]], declared: Crawler
) -> None:
    """One target of many tables, all in one bucket, is what Glue takes in event mode."""
    crawler = _named(resources, "AWS::Glue::Crawler", "Name", f"watershed-{declared.name}")
    assert crawler["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_EVENT_MODE"}
    (target,) = crawler["Targets"]["CatalogTargets"]
    assert target["Tables"] == [table.name for table in declared.tables]
    queue = _queue_id(resources, f"watershed-{declared.name}-events")
    dead_letters = _queue_id(resources, f"watershed-{declared.name}-events-dlq")
    assert flat(target["EventQueueArn"]) == f"<{queue}.Arn>"
    assert flat(target["DlqEventQueueArn"]) == f"<{dead_letters}.Arn>"
    buckets = {
        flat(each["Properties"]["TableInput"]["StorageDescriptor"]["Location"]).split("/")[2]
        for each in resources.values()
        if each["Type"] == "AWS::Glue::Table"
    }
    assert len(buckets) == 1


@pytest.mark.parametrize("declared", DECLARED, ids=lambda each: each.name)
def test_s3_tells_each_queue_of_its_tables_and_may_send_to_it(
    resources: dict[str, dict[str, Any]], declared: Crawler
) -> None:
    queue = _queue_id(resources, f"watershed-{declared.name}-events")
    bucket_name = "watershed-landing-123456789012-eu-west-1"
    bucket = _named(resources, "AWS::S3::Bucket", "BucketName", bucket_name)
    told = {
        (each["Event"], rule["Value"])
        for each in bucket["NotificationConfiguration"]["QueueConfigurations"]
        for rule in each["Filter"]["S3Key"]["Rules"]
        if flat(each["Queue"]) == f"<{queue}.Arn>"
    }
    prefixes = {prefix for _, prefix in told}
    assert told == {(f"s3:Object{what}:*", prefix) for what in ("Created", "Removed") for prefix in prefixes}
    for table in declared.tables:
        assert sum(table.prefix.startswith(prefix) for prefix in prefixes) == 1, table.name
    (policy,) = (
        each["Properties"]["PolicyDocument"]["Statement"]
        for each in resources.values()
        if each["Type"] == "AWS::SQS::QueuePolicy" and each["Properties"]["Queues"] == [{"Ref": queue}]
    )
    (sending,) = (each for each in policy if each["Effect"] == "Allow")
    assert sending["Principal"] == {"Service": "s3.amazonaws.com"}
    assert sending["Action"] == "sqs:SendMessage"
    assert sending["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket_name}"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    assert any(each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for each in policy)


def test_no_two_prefixes_begin_one_another() -> None:
    """S3 refuses notifications of the same event that overlap."""
    prefixes = [prefix for each in DECLARED for prefix in each.event_prefixes]
    assert not [
        (one, other) for one in prefixes for other in prefixes if one != other and one.startswith(other)
    ]
    assert len(prefixes) == len(set(prefixes))


def test_the_bucket_waits_for_the_queues_which_it_tries(resources: dict[str, dict[str, Any]]) -> None:
    (bucket,) = (
        each
        for each in resources.values()
        if each["Type"] == "AWS::S3::Bucket" and "NotificationConfiguration" in each["Properties"]
    )
    policies = {
        logical_id
        for logical_id, each in resources.items()
        if each["Type"] == "AWS::SQS::QueuePolicy"
        and each["Properties"]["Queues"]
        in [[{"Ref": _queue_id(resources, f"watershed-{declared.name}-events")}] for declared in DECLARED]
    }
    assert len(policies) == len(DECLARED)
    assert policies <= set(bucket["DependsOn"])


def test_the_queues_keep_events_as_long_as_sqs_does_and_are_encrypted(
    resources: dict[str, dict[str, Any]],
) -> None:
    (key,) = (name for name, each in resources.items() if each["Type"] == "AWS::KMS::Key")
    for declared in DECLARED:
        name = f"watershed-{declared.name}-events"
        for queue_name in (name, f"{name}-dlq"):
            queue = resources[_queue_id(resources, queue_name)]["Properties"]
            assert queue["MessageRetentionPeriod"] == 14 * 86_400
            assert flat(queue["KmsMasterKeyId"]) == f"<{key}.Arn>"
        dead_letters = _queue_id(resources, f"{name}-dlq")
        redrive = resources[_queue_id(resources, name)]["Properties"]["RedrivePolicy"]
        assert flat(redrive["deadLetterTargetArn"]) == f"<{dead_letters}.Arn>"
        waits = _named(
            resources, "AWS::CloudWatch::Alarm", "AlarmName", f"watershed-crawl-waits-{declared.name}"
        )
        assert waits["MetricName"] == "ApproximateAgeOfOldestMessage"
        assert 0 < waits["Threshold"] < queue["MessageRetentionPeriod"]


def test_s3_may_use_the_key_of_the_queues_for_this_account_only(resources: dict[str, dict[str, Any]]) -> None:
    (key,) = (each["Properties"] for each in resources.values() if each["Type"] == "AWS::KMS::Key")
    (statement,) = (
        each for each in key["KeyPolicy"]["Statement"] if each["Principal"] == {"Service": "s3.amazonaws.com"}
    )
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(statement["Action"])
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_the_crawlers_may_read_these_queues_and_no_other(resources: dict[str, dict[str, Any]]) -> None:
    role = _named(resources, "AWS::IAM::Role", "RoleName", "watershed-crawl")
    (policy,) = role["Policies"]
    on_queues = [
        each
        for each in policy["PolicyDocument"]["Statement"]
        if any(action.startswith("sqs:") for action in each["Action"])
    ]
    (statement,) = on_queues
    # As https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-event-notifications.html lists them.
    assert set(statement["Action"]) == {
        f"sqs:{each}"
        for each in (
            "DeleteMessage",
            "GetQueueAttributes",
            "GetQueueUrl",
            "ListDeadLetterSourceQueues",
            "ListQueueTags",
            "PurgeQueue",
            "ReceiveMessage",
            "SetQueueAttributes",
        )
    }
    names = [f"watershed-{each.name}-events{end}" for each in DECLARED for end in ("", "-dlq")]
    assert {flat(each) for each in statement["Resource"]} == {
        f"<{_queue_id(resources, name)}.Arn>" for name in names
    }


def test_without_it_nothing_of_it_is_there(template: dict[str, Any]) -> None:
    for each in template["Resources"].values():
        assert "NotificationConfiguration" not in each["Properties"]
        assert not str(each["Properties"].get("QueueName", "")).endswith("-events")
        if each["Type"] == "AWS::Glue::Crawler":
            assert each["Properties"]["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_EVERYTHING"}
            assert "EventQueueArn" not in str(each["Properties"]["Targets"])
