"""Firehose transforms a batch at once, puts lines of one prefix into one object, zips it, and loses nothing.

The emulator calls the function for each record, writes an object for each, unzipped, appends a date to every
prefix, passes on what the function failed over, and forgets what it answers `ProcessingFailed`. Amazon Data
Firehose, "Data transformation", "Dynamic partitioning", "Custom prefixes": `Ok` records are delivered under
their partition keys, `Dropped` ones are not, and a record that failed, was not answered, or was in a batch
whose function failed, is kept as it came (`rawData`) under the error prefix. A prefix with an expression gets
nothing appended (seen on AWS: https://github.com/floci-io/floci/issues/1857).

Nothing is buffered: a PutRecordBatch is a batch.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

_FAILED = "processing-failed"

_Stream = dict[str, Any]
_Record = tuple[str, bytes]


_holding = threading.local()


def apply() -> None:
    from ministack.services import firehose

    put_one_by_one = firehose._put_record_batch

    def put_record_batch(request: dict[str, Any]) -> Any:
        held: list[tuple[_Stream, _Stream, list[_Record]]] = []
        _holding.records = held
        try:
            reply = put_one_by_one(request)
        finally:
            _holding.records = None
        destinations = {id(destination): (stream, destination) for stream, destination, _ in held}
        for stream, destination in destinations.values():
            _deliver(stream, destination, [one for _, to, part in held if to is destination for one in part])
        return reply

    firehose._HANDLERS["PutRecordBatch"] = firehose._put_record_batch = put_record_batch
    firehose._deliver_records_to_s3 = _hold_or_deliver


def _hold_or_deliver(stream: _Stream, destination: _Stream, records: list[_Record]) -> None:
    """A record of a PutRecordBatch waits, on the same thread, for the others of its batch."""
    held = getattr(_holding, "records", None)
    if held is None:
        _deliver(stream, destination, records)
    else:
        held.append((stream, destination, records))


def _deliver(stream: _Stream, destination: _Stream, records: list[_Record]) -> None:
    """Transform and write one batch."""
    configuration = destination["config"]
    lines: dict[str, list[bytes]] = {}
    failed: list[bytes] = []
    answers = _answers(stream, configuration, records)
    now = time.gmtime()
    for record_id, raw in records:
        answer = answers.get(record_id, {"result": "ProcessingFailed"})
        if answer["result"] == "Dropped":
            continue
        try:
            if answer["result"] != "Ok" or "data" not in answer:
                raise _NotDeliveredError
            keys = (answer.get("metadata") or {}).get("partitionKeys") or {}
            prefix = _prefix(configuration.get("Prefix", ""), now, keys)
            lines.setdefault(prefix, []).append(b64decode(answer["data"]))
        except _NotDeliveredError:
            failed.append(raw)
    zipped = configuration.get("CompressionFormat") == "GZIP"
    extension = configuration.get("FileExtension") or (".gz" if zipped else "")
    for prefix, part in lines.items():
        body = b"".join(part)
        _put(stream, configuration, prefix, gzip.compress(body) if zipped else body, extension)
    if failed:
        prefix = _prefix(configuration.get("ErrorOutputPrefix") or f"{_FAILED}/", now, {})
        _put(stream, configuration, prefix, b"".join(map(_error_line, failed)), "")


class _NotDeliveredError(Exception):
    """Raised when a record goes to the error prefix."""


def _answers(stream: _Stream, configuration: _Stream, records: list[_Record]) -> dict[str, Any]:
    """What the function says of each record; nothing where it failed, and all `Ok` where there is none."""
    processing = configuration.get("ProcessingConfiguration") or {}
    function = next(_functions(processing), None) if processing.get("Enabled") else None
    data = {record_id: b64encode(raw).decode() for record_id, raw in records}
    if function is None:
        return {record_id: {"result": "Ok", "data": text} for record_id, text in data.items()}
    now = int(time.time() * 1000)
    event = {
        "invocationId": records[0][0],
        "deliveryStreamArn": stream.get("arn", ""),
        "region": stream.get("arn", ":::").split(":")[3],
        "records": [
            {"recordId": record_id, "approximateArrivalTimestamp": now, "data": text}
            for record_id, text in data.items()
        ],
    }
    answers = _invoked(function, event).get("records", [])
    return {str(each["recordId"]): each for each in answers if isinstance(each, dict) and "recordId" in each}


def _functions(processing: dict[str, Any]) -> Iterator[str]:
    return (
        parameter["ParameterValue"]
        for processor in processing.get("Processors") or []
        if processor.get("Type") == "Lambda"
        for parameter in processor.get("Parameters") or []
        if parameter.get("ParameterName") == "LambdaArn"
    )


def _invoked(function: str, event: dict[str, Any]) -> dict[str, Any]:
    from ministack.services import lambda_svc

    record, config, _name = lambda_svc._get_func_record_for_ref(function)
    if not record or not config:
        return {}
    execution = lambda_svc._execution_record_for_config(record, config)
    result = lambda_svc._execute_function_with_config_scope(execution, event)
    body = result.get("body")
    if result.get("error"):
        return {}
    answer = json.loads(body) if isinstance(body, str | bytes) and body else body
    return answer if isinstance(answer, dict) else {}


def _prefix(template: str, now: time.struct_time, keys: dict[str, str]) -> str:
    from ministack.services import firehose

    try:
        evaluated: str = firehose._evaluate_prefix(template, now, lambda_keys=keys, error_type=_FAILED)
    except firehose._DeliveryError:
        raise _NotDeliveredError from None
    if "!{" in template and "!{timestamp:" not in template:
        return evaluated.removesuffix(firehose._java_time("yyyy/MM/dd/HH/", now))
    return evaluated


def _put(stream: _Stream, configuration: _Stream, prefix: str, body: bytes, extension: str) -> None:
    from ministack.core.responses import new_uuid
    from ministack.services import firehose

    at = firehose._java_time("yyyy-MM-dd-HH-mm-ss", time.gmtime())
    key = f"{prefix}{stream['name']}-{stream.get('version', 1)}-{at}-{new_uuid()}{extension}"
    bucket = firehose._s3_bucket_from_arn(configuration.get("BucketARN", ""))
    firehose._put_s3_object(bucket, key, body)


def _error_line(raw: bytes) -> bytes:
    now = int(time.time() * 1000)
    document = {
        "attemptsMade": 4,
        "arrivalTimestamp": now,
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "The function failed, or answered ProcessingFailed or not at all.",
        "attemptEndingTimestamp": now,
        "rawData": b64encode(raw).decode(),
    }
    return json.dumps(document).encode() + b"\n"
