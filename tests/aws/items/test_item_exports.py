"""Landing DynamoDB's exports, against moto's S3 and DynamoDB."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from glue_jobs.conform.item_coverage import Coverage, coverage_key
from local.item_exports import ExportError, land_export, put_export, read_export, write_local_export
from tests.unit.items.records import REGISTRY, item_types, patient, registry_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ARN = f"arn:aws:dynamodb:us-east-1:000000000000:table/{REGISTRY}"
NOON = datetime(2026, 11, 25, 12, 0, 0, 250_000, UTC)
FOLDER = "AWSDynamoDB/01764072000250-0a1b2c3d/"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client: S3Client = boto3.client("s3")
        for bucket in ("landing", "exports"):
            client.create_bucket(Bucket=bucket)
        yield client


def keys(s3: S3Client, prefix: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket="landing", Prefix=prefix).get("Contents", [])
    return [each["Key"] for each in listed]


def landed(s3: S3Client, prefix: str = "items/") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for key in keys(s3, prefix):
        body = gzip.decompress(s3.get_object(Bucket="landing", Key=key)["Body"].read())
        for line in body.splitlines():
            found.append((key.split("item_type=")[-1].split("/")[0], json.loads(line, parse_float=Decimal)))
    return found


def coverage(s3: S3Client) -> Coverage:
    key = coverage_key(REGISTRY, FOLDER.split("/")[1])
    return Coverage.from_json(s3.get_object(Bucket="landing", Key=key)["Body"].read().decode())


def test_a_full_export_lands_as_envelopes_without_numbers(s3: S3Client) -> None:
    item = {**registry_key("p1"), **patient(riskScore={"N": "12.3400"})}
    put_export(s3, "exports", FOLDER, ARN, [{"Item": item}], NOON)
    done = land_export(s3, "landing", read_export(s3, "exports", FOLDER))
    assert (done.items, done.refused, done.unmatched, done.new_objects) == (1, 0, 0, 1)
    ((item_type, line),) = landed(s3)
    assert item_type == "Patient"
    assert (line["event_name"], line["sequence_number"]) == ("BACKFILL", None)
    assert line["event_id"] == "export/01764072000250-0a1b2c3d@2026-11-25T12:00:00.250000Z"
    assert line["changed_at"] == "2026-11-25T12:00:00.250000Z"
    assert line["keys"] == {"id": "p1", "sk": "PATIENT"}
    assert line["new_image"]["riskScore"] == Decimal("12.3400")
    assert coverage(s3) == Coverage(line["event_id"], NOON, None, complete=True)


WRITTEN = {"WriteTimestampMicros": {"N": "1764071000123456"}}
ELEVEN = datetime(2026, 11, 25, 11, 0, tzinfo=UTC)


def test_an_incremental_export_tells_deletes_and_what_an_item_was(s3: S3Client) -> None:
    was_patient = {**registry_key("p1"), **patient()}
    deleted = {"Metadata": WRITTEN, "Keys": registry_key("p1"), "OldImage": was_patient}
    put_export(s3, "exports", FOLDER, ARN, [deleted], NOON, ELEVEN)
    land_export(s3, "landing", read_export(s3, "exports", FOLDER))
    ((item_type, line),) = landed(s3)
    assert (item_type, line["event_name"], line["new_image"]) == ("Patient", "REMOVE", None)
    assert line["changed_at"] == "2025-11-25T11:43:20.123456Z"
    assert coverage(s3).since == ELEVEN


def test_without_old_images_every_type_of_the_table_has_to_see_an_item_leave(s3: S3Client) -> None:
    deleted = {"Metadata": WRITTEN, "Keys": registry_key("p2")}
    put_export(s3, "exports", FOLDER, ARN, [deleted], NOON, ELEVEN, "NEW_IMAGE")
    land_export(s3, "landing", read_export(s3, "exports", FOLDER))
    of_table = {each.name for each in item_types() if each.table_name == REGISTRY}
    assert {item_type for item_type, _ in landed(s3)} == of_table
    assert len(of_table) > 1


def test_landing_again_lands_nothing_new(s3: S3Client) -> None:
    put_export(s3, "exports", FOLDER, ARN, [{"Item": {**registry_key(), **patient()}}], NOON)
    found = read_export(s3, "exports", FOLDER)
    land_export(s3, "landing", found)
    before = keys(s3, "")
    assert land_export(s3, "landing", found).new_objects == 0
    assert keys(s3, "") == before


def test_a_line_that_cannot_be_read_goes_to_quarantine_and_the_rest_lands(s3: S3Client) -> None:
    bad = {"Item": {**registry_key("bad"), **patient(v={"N": "twelve"})}}
    no_key = {"Item": {"id": {"S": "x"}}}
    good = {"Item": {**registry_key("good"), **patient()}}
    put_export(s3, "exports", FOLDER, ARN, [bad, no_key, good], NOON)
    done = land_export(s3, "landing", read_export(s3, "exports", FOLDER))
    assert done.reasons == {"not_dynamodb_json": 1, "not_an_exported_item": 1}
    assert [each["keys"]["id"] for _, each in landed(s3)] == ["good"]
    assert len(landed(s3, "quarantine/source=items/")) == 2


def test_a_file_with_another_number_of_items_is_refused_before_absence_means_anything(s3: S3Client) -> None:
    put_export(s3, "exports", FOLDER, ARN, [{"Item": {**registry_key(), **patient()}}], NOON)
    listed = s3.get_object(Bucket="exports", Key=FOLDER + "manifest-files.json")["Body"].read()
    changed = {**json.loads(listed), "itemCount": 2}
    s3.put_object(Bucket="exports", Key=FOLDER + "manifest-files.json", Body=json.dumps(changed).encode())
    with pytest.raises(ExportError, match="its manifest says 2"):
        land_export(s3, "landing", read_export(s3, "exports", FOLDER))
    assert not coverage(s3).complete


def test_an_export_that_is_not_there_or_not_complete(s3: S3Client) -> None:
    with pytest.raises(ExportError, match="No complete export"):
        read_export(s3, "exports", "AWSDynamoDB/none/")
    s3.put_object(Bucket="exports", Key=FOLDER + "manifest-summary.json", Body=b"{}")
    with pytest.raises(ExportError, match="not that of an export"):
        read_export(s3, "exports", FOLDER)


def test_the_local_exporter_writes_what_the_reader_reads(s3: S3Client) -> None:
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=REGISTRY,
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {**registry_key("p1"), **patient(photo={"B": b"\x00\x01"}, exact={"N": "1234567890.123456789"})}
    dynamodb.put_item(TableName=REGISTRY, Item=item)
    folder = write_local_export(dynamodb, s3, ARN, "exports", NOON)
    done = land_export(s3, "landing", read_export(s3, "exports", folder))
    assert done.items == 1
    ((_, line),) = landed(s3)
    assert line["new_image"]["photo"] == "AAE="
    assert line["new_image"]["exact"] == Decimal("1234567890.123456789")
