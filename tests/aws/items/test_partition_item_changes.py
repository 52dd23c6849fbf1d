"""Firehose's function itself, against moto's S3."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lambdas.partition_item_changes import handler as module
from lambdas.partition_item_changes.handler import NotAFirehoseEventError, handler
from lambdas.shared.surroundings import MissingSettingError
from tests.aws.items.landing import objects
from tests.unit.items.records import patient, reading, record, registry_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTEXT = SimpleNamespace(function_name="watershed-partition-item-changes", function_version="3")


def batch(*records: Any) -> dict[str, Any]:
    return {
        "invocationId": "1",
        "records": [
            {"recordId": f"r{index}", "data": b64encode(json.dumps(each).encode()).decode()}
            for index, each in enumerate(records)
        ],
    }


def became_an_address(sequence: int, who: str = "p1") -> dict[str, Any]:
    return record(sequence, registry_key(who), {"itemType": {"S": "Address"}}, patient())


def results(response: Any) -> list[tuple[str, str]]:
    return [(each["recordId"], each["result"]) for each in response["records"]]


def test_what_firehose_cannot_place_is_written_before_the_answer(s3: S3Client) -> None:
    poison = record(3, registry_key(), patient(v={"N": "x"}))
    response = handler(batch(reading(1), became_an_address(2), poison), CONTEXT)
    assert results(response) == [("r0", "Ok"), ("r1", "Ok"), ("r2", "Dropped")]
    (landed, quarantined) = sorted(objects(s3).items())
    assert "item_type=Patient" in landed[0]
    assert landed[1][0]["landed_by"] == "watershed-partition-item-changes:3"
    assert quarantined[1][0]["record"] == poison


def test_a_batch_that_firehose_sends_again_is_written_once(s3: S3Client) -> None:
    again = batch(became_an_address(1), {"not": "a record"})
    assert results(handler(again, CONTEXT)) == results(handler(again, CONTEXT))
    assert [len(lines) for lines in objects(s3).values()] == [1, 1]


def test_what_cannot_be_written_is_left_to_firehose_and_no_item_to_the_log(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(module._logger.registered_handler, "stream", log)
    monkeypatch.setenv("LANDING_BUCKET", "no-such-bucket")
    secret = "Jane-Doe-1980"
    poison = record(2, registry_key(secret), patient(v={"N": secret}))
    response = handler(batch(reading(1, secret), poison, became_an_address(3, secret)), CONTEXT)
    assert results(response) == [("r0", "Ok"), ("r1", "ProcessingFailed"), ("r2", "ProcessingFailed")]
    output = capsys.readouterr()
    assert secret not in output.out + output.err + log.getvalue()
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [each["message"] for each in logged] == [
        "records quarantined", "objects not written", "batch transformed",
    ]  # fmt: skip
    assert logged[1]["error_types"] == ["NoSuchBucket NoSuchBucket"]
    assert logged[2]["results"] == {"Ok": 1, "ProcessingFailed": 2}


def test_what_is_not_a_batch_is_refused(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    strangers: list[dict[str, Any]] = [{"Records": []}, {"records": [{"data": ""}]}, {"records": [None]}]
    for event in strangers:
        with pytest.raises(NotAFirehoseEventError, match="Firehose stream"):
            handler(event, CONTEXT)
    monkeypatch.delenv("LANDING_BUCKET")
    with pytest.raises(MissingSettingError, match="LANDING_BUCKET"):
        handler(batch(), CONTEXT)
