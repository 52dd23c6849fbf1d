"""Amazon Data Firehose, "Data transformation" and "Dynamic partitioning": one call for a batch, one zipped
object per partition and nothing appended to its name; what failed is kept as it came under the error prefix.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.functions import ANY_ROLE, create_function

pytestmark = pytest.mark.e2e

_TRANSFORM = """
import base64

def handler(event, context):
    assert event["deliveryStreamArn"].endswith("deliverystream/" + {stream!r})
    answers = []
    for record in event["records"]:
        text = base64.b64decode(record["data"]).decode()
        answer = {{"recordId": record["recordId"], "result": "Ok"}}
        if text == "crash":
            raise RuntimeError
        if text == "drop":
            answer["result"] = "Dropped"
        elif text == "fail":
            answer["result"] = "ProcessingFailed"
        elif text == "forget":
            continue
        else:
            line = f"{{text}} of {{len(event['records'])}}\\n".encode()
            answer["data"] = base64.b64encode(line).decode()
            answer["metadata"] = {{"partitionKeys": {{"where": f"site=a%2F{{text[0]}}/hour=01/"}}}}
        answers.append(answer)
    return {{"records": answers}}
"""


def _stream(emulator: Emulator, name: str) -> None:
    function = create_function(emulator, name, _TRANSFORM.format(stream=name))
    emulator.client("s3").create_bucket(Bucket=name)
    emulator.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "RoleARN": ANY_ROLE,
            "BucketARN": f"arn:aws:s3:::{name}",
            "Prefix": "!{partitionKeyFromLambda:where}",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/on=!{timestamp:yyyy}/",
            "CompressionFormat": "GZIP",
            "FileExtension": ".txt.gz",
            "DynamicPartitioningConfiguration": {"Enabled": True},
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "Lambda",
                        "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": function}],
                    }
                ],
            },
        },
    )


def _put(emulator: Emulator, name: str, *texts: str) -> None:
    reply = emulator.client("firehose").put_record_batch(
        DeliveryStreamName=name, Records=[{"Data": text.encode()} for text in texts]
    )
    assert reply["FailedPutCount"] == 0


def _objects(emulator: Emulator, name: str) -> dict[str, bytes]:
    s3: Any = emulator.client("s3")
    listed = s3.list_objects_v2(Bucket=name).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=name, Key=each["Key"])["Body"].read() for each in listed}


def _raw(body: bytes) -> list[str]:
    return [b64decode(json.loads(line)["rawData"]).decode() for line in body.splitlines()]


def test_a_batch_becomes_one_zipped_object_per_partition(emulator: Emulator) -> None:
    _stream(emulator, "transformed")
    _put(emulator, "transformed", "x1", "y1", "x2", "drop", "fail", "forget")
    until(lambda: len(_objects(emulator, "transformed")) == 3)
    found = _objects(emulator, "transformed")
    lines = {
        key.rpartition("/")[0]: gzip.decompress(body)
        for key, body in found.items()
        if key.endswith(".txt.gz")
    }
    assert lines == {"site=a%2Fx/hour=01": b"x1 of 6\nx2 of 6\n", "site=a%2Fy/hour=01": b"y1 of 6\n"}
    (failed,) = (key for key in found if key.startswith("errors/"))
    assert failed.startswith("errors/processing-failed/on=20")
    assert _raw(found[failed]) == ["fail", "forget"]


def test_a_batch_whose_function_fails_is_kept(emulator: Emulator) -> None:
    _stream(emulator, "crashing")
    _put(emulator, "crashing", "x1", "crash")
    until(lambda: bool(_objects(emulator, "crashing")))
    ((key, body),) = _objects(emulator, "crashing").items()
    assert key.startswith("errors/processing-failed/")
    assert _raw(body) == ["x1", "crash"]
