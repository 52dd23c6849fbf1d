"""``watershed replay`` against moto's S3: what was parked or refused lands, once, and the counts say so."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from glue_jobs.lake.rereads import Reread, read_mark
from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex, Landed
from lambdas.shared.landing_object import write_once
from local.replay import Place, replay_failures, replay_quarantine, reread_landing
from tests.unit.items.event_source_mapping import invocation_record
from tests.unit.items.records import item_types, patient, reading, record, registry_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PARKED = "aws/lambda/5f1c/shardId-00000001/2026/11/25/2026-11-25T09.10.11-0b5e"
LANDED = Landed(datetime(2026, 11, 25, tzinfo=UTC), "land:7")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        s3: S3Client = boto3.client("s3", region_name="us-east-1")
        for bucket in ("landing", "failures"):
            s3.create_bucket(Bucket=bucket)
        yield Place(s3, "landing", "failures")


def keys(place: Place, bucket: str, prefix: str = "") -> list[str]:
    return list(place.found(bucket, prefix, None))


def lines(place: Place, prefix: str) -> list[dict[str, Any]]:
    bodies = (gzip.decompress(place.read("landing", key)) for key in keys(place, "landing", prefix))
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def park(place: Place, body: bytes, key: str = PARKED) -> None:
    place.s3.put_object(Bucket="failures", Key=key, Body=body)


def test_a_parked_batch_lands_and_is_put_aside(place: Place) -> None:
    records = [reading(1, "a"), reading(2, "b"), record(3, registry_key(), patient(v={"N": "twelve"}))]
    park(place, invocation_record(records))
    done = replay_failures(place)
    assert (done.objects, done.records, done.landed, done.refused, done.new_objects) == (1, 3, 2, 1, 3)
    assert sorted(each["sequence_number"] for each in lines(place, "items/")) == ["1", "2"]
    assert keys(place, "failures") == ["replayed/" + PARKED]
    # Its day may be one that runs list no more, so the next one is asked to.
    (marked,) = keys(place, "landing", "rereads/job=conform_items/")
    assert read_mark(place.s3.get_object(Bucket="landing", Key=marked)["Body"].read().decode()) == Reread()


def test_what_had_landed_before_it_was_parked_is_not_landed_again(place: Place) -> None:
    records = [reading(1, "a"), reading(2, "b")]
    for each in plan_batch(records, ItemTypeIndex(item_types()), LANDED).objects:
        write_once(place.s3, "landing", each)
    before = keys(place, "landing")
    park(place, invocation_record(records))
    assert replay_failures(place).new_objects == 0
    assert keys(place, "landing") == before
    assert replay_failures(place).objects == 0, "it is aside, so a repeat has nothing to do"


def test_an_object_without_records_stays_and_is_named(place: Place) -> None:
    pointer = json.loads(invocation_record([reading(1)]))
    del pointer["payload"]
    park(place, json.dumps(pointer).encode(), PARKED + "1")
    park(place, b"not json", PARKED + "2")
    done = replay_failures(place)
    assert done.unreadable == [PARKED + "1", PARKED + "2"]
    assert keys(place, "failures") == done.unreadable


def test_since_leaves_older_objects_alone(place: Place) -> None:
    park(place, invocation_record([reading(1)]))
    assert replay_failures(place, datetime.now(UTC) + timedelta(hours=1)).objects == 0
    assert replay_failures(place, datetime.now(UTC) - timedelta(hours=1)).objects == 1


def test_quarantined_records_that_can_be_read_now_land_and_the_others_stay(place: Place) -> None:
    """As after a release that can read what an older one could not: here the reason is made up."""
    good, bad = reading(1, "a"), record(2, registry_key(), patient(v={"N": "twelve"}))
    quarantined = [{"reason": "conversion_failed", "detail": "", "record": each} for each in (good, bad)]
    body = "".join(json.dumps(each) + "\n" for each in quarantined).encode()
    key = "quarantine/source=items/reason=conversion_failed/date=2026-11-25/1-2-00.ndjson.gz"
    place.s3.put_object(Bucket="landing", Key=key, Body=gzip.compress(body))

    done = replay_quarantine(place)
    assert (done.records, done.landed, done.refused) == (2, 1, 1)
    assert [each["sequence_number"] for each in lines(place, "items/")] == ["1"]
    (left,) = lines(place, "quarantine/")
    assert (left["reason"], left["record"]) == ("not_dynamodb_json", bad)
    before = keys(place, "landing")
    again = replay_quarantine(place)
    assert (again.landed, again.refused) == (0, 1)
    assert keys(place, "landing") == before, "what is refused again stays as it is"


@pytest.mark.parametrize("zipped", [False, True])
def test_what_firehose_could_not_deliver_lands_after_all(place: Place, zipped: bool) -> None:
    """Lines of its error prefix, in the form that Firehose documents."""
    passed_on = {name: value for name, value in reading(1, "a").items() if name != "eventVersion"}
    raw = [json.dumps(passed_on).encode(), b"{half"]
    body = "".join(
        json.dumps(
            {
                "attemptsMade": 4,
                "arrivalTimestamp": 1_772_000_000_000,
                "errorCode": "Lambda.FunctionError",
                "errorMessage": "The Lambda function was not invoked.",
                "rawData": base64.b64encode(each).decode(),
            }
        )
        + "\n"
        for each in raw
    ).encode()
    key = "quarantine/source=items/reason=processing-failed/date=2026-11-25/watershed-1-2026"
    place.s3.put_object(Bucket="landing", Key=key, Body=gzip.compress(body) if zipped else body)
    done = replay_quarantine(place)
    assert (done.landed, done.refused, done.unreadable) == (1, 1, [])
    assert [each["sequence_number"] for each in lines(place, "items/")] == ["1"]
    assert key not in keys(place, "landing")


def test_lines_that_the_job_refused_have_their_landing_objects_read_again(place: Place) -> None:
    (landed,) = plan_batch([reading(1, "a")], ItemTypeIndex(item_types()), LANDED).objects
    write_once(place.s3, "landing", landed)
    name = hashlib.sha256(landed.key.encode()).hexdigest()[:32]
    key = f"quarantine/source=items/reason=wrong_type/date=2026-11-25/{name}.ndjson.gz"
    place.s3.put_object(Bucket="landing", Key=key, Body=landed.body())

    done = replay_quarantine(place)
    assert (done.objects, done.records, done.rereads) == (1, 0, 1)
    (marked,) = keys(place, "landing", "rereads/job=conform_items/")
    assert read_mark(place.read("landing", marked).decode()).keys == {landed.key}
    assert keys(place, "landing", "quarantine/") == []
    assert keys(place, "landing", "replayed/") == ["replayed/" + key]


def test_landing_is_marked_from_a_time_on(place: Place) -> None:
    assert reread_landing(place).rereads == 0
    assert keys(place, "landing") == [], "nothing to read, nothing to mark"
    (landed,) = plan_batch([reading(1, "a")], ItemTypeIndex(item_types()), LANDED).objects
    write_once(place.s3, "landing", landed)
    since = datetime.now(UTC) - timedelta(minutes=5)
    assert reread_landing(place, since).rereads == 1
    (marked,) = keys(place, "landing", "rereads/")
    assert read_mark(place.read("landing", marked).decode()).since == int(since.timestamp() * 1000)
