"""The function itself, against moto's S3."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from lambdas.land_item_changes import handler as module
from lambdas.land_item_changes.handler import NotAStreamEventError, handler
from lambdas.shared.surroundings import MissingSettingError
from tests.aws.items.landing import BUCKET, objects
from tests.unit.items.records import patient, reading, record, registry_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTEXT = SimpleNamespace(function_name="watershed-land-item-changes", function_version="3")


def test_a_batch_lands_in_its_partitions(s3: S3Client) -> None:
    batch = [reading(1, "a"), reading(2, "b"), record(3, registry_key(), patient(v={"N": "x"}))]
    assert handler({"Records": batch}, CONTEXT) == {"batchItemFailures": []}
    found = objects(s3)
    assert sorted(key.split("/")[-6] for key in found if key.startswith("items/")) == ["siteId=a", "siteId=b"]
    assert [lines[0]["reason"] for key, lines in found.items() if key.startswith("quarantine/")] == [
        "not_dynamodb_json"
    ]
    assert {lines[0]["landed_by"] for lines in found.values()} == {"watershed-land-item-changes:3"}


def test_a_redelivered_batch_leaves_its_objects_as_they_were(s3: S3Client) -> None:
    batch = {"Records": [reading(1, "a"), reading(2, "b")]}
    handler(batch, CONTEXT)
    before = {
        each["Key"]: (each["ETag"], each["LastModified"])
        for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    }
    assert handler(batch, CONTEXT) == {"batchItemFailures": []}
    after = {
        each["Key"]: (each["ETag"], each["LastModified"])
        for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    }
    assert after == before


def test_a_bucket_that_refuses_is_reported_from_the_first_record(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_BUCKET", "no-such-bucket")
    response = handler({"Records": [reading(7, "a"), reading(8, "b")]}, CONTEXT)
    assert response == {"batchItemFailures": [{"itemIdentifier": "7"}]}


def test_no_item_reaches_the_log(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(module._logger.registered_handler, "stream", log)
    monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
    secret = "Jane-Doe-1980"
    batch = [
        record(1, registry_key(secret), patient(name={"S": secret})),
        record(2, registry_key(secret), patient(name={"N": secret})),
        reading(3, secret),
    ]
    handler({"Records": batch}, CONTEXT)
    monkeypatch.setenv("LANDING_BUCKET", "no-such-bucket")
    handler({"Records": batch}, CONTEXT)
    output = capsys.readouterr()
    assert secret not in output.out + output.err + log.getvalue()
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [each["message"] for each in logged] == [
        "records quarantined", "batch landed", "records quarantined", "write failed",
    ]  # fmt: skip
    assert logged[0]["reasons"] == {"not_dynamodb_json": 1}
    assert (logged[-1]["error_type"], logged[-1]["redeliver_from"]) == ("NoSuchBucket NoSuchBucket", "1")


def test_an_empty_batch_is_nothing_to_do(s3: S3Client) -> None:
    assert handler({"Records": []}, CONTEXT) == {"batchItemFailures": []}
    assert objects(s3) == {}


def test_what_is_not_a_batch_is_refused(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAStreamEventError, match="event source mapping"):
        handler({"detail": {}}, CONTEXT)
    monkeypatch.delenv("LANDING_BUCKET")
    with pytest.raises(MissingSettingError, match="LANDING_BUCKET"):
        handler({"Records": []}, CONTEXT)
