"""A pipe filters, enriches, transforms, and delivers to Firehose and event buses too.

The emulator's pipes know two targets, SNS and Step Functions, keep nothing of their parameters, and hand over
all that is new in the stream as one batch. EventBridge Pipes, "Filtering", "Enrichment", "Input
transformation", "Batching and concurrency": a batch has at most `BatchSize` records; the filter drops records
from it; the enrichment is called with the rest as one array, and the target with the array that it answers,
or not at all where that is empty; the input template applies to each element; a batch that fails is tried
again, and the next one waits. Parameters such as `DetailType` may be paths into the element.

What is tried again is so for ever: retries, halving and dead letters are not here.
"""

from __future__ import annotations

import copy
import json
import logging
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from local.emulator.pipe_template import at, render

_log = logging.getLogger("watershed.pipes")

_KEPT = ("SourceParameters", "Enrichment", "EnrichmentParameters", "TargetParameters")
_STREAM_PARAMETERS = "DynamoDBStreamParameters"

_Properties = dict[str, Any]


def apply() -> None:
    from ministack.services import pipes
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::Pipes::Pipe"]
    handlers["create"] = _keeping(handlers["create"], properties_at=1)
    handlers["update"] = _keeping(handlers["update"], properties_at=2)
    pipes._poll_pipe = _poll


def _keeping(provision: Callable[..., Any], properties_at: int) -> Callable[..., Any]:
    """The pipe's record keeps its parameters; it starts only once it has them."""

    def provision_whole(*given: Any, **named: Any) -> Any:
        from ministack.services import pipes

        properties: _Properties = given[properties_at]
        arguments = list(given)
        arguments[properties_at] = {**properties, "DesiredState": "STOPPED"}
        name, attributes = provision(*arguments, **named)
        pipe = pipes._pipes[name]
        for each in _KEPT:
            pipe[each] = copy.deepcopy(properties.get(each))
        pipe["DesiredState"] = pipe["CurrentState"] = properties.get("DesiredState", "RUNNING")
        return name, attributes

    return provision_whole


def _poll(dynamodb: Any, pipe: _Properties, account: str) -> None:
    """Deliver what is new in the stream, batch by batch, up to the first that fails."""
    from ministack.services import pipes

    source = pipes._dynamodb_stream_source(pipe.get("Source", ""))
    if pipe.get("CurrentState") != "RUNNING" or source is None:
        return
    stream, table = source
    scope = {"account_id": account, "region": stream.region}
    position = max(int(pipes._positions.get(pipe["Arn"], 0)), dynamodb.stream_start_position(table, **scope))
    end = dynamodb.stream_end_position(table, **scope)
    size = int(_stream_parameters(pipe).get("BatchSize", 1))
    while position < end:
        batch = dynamodb.stream_records_since(table, position, min(size, end - position), **scope)
        if not _deliver(pipe, batch):
            return
        position += len(batch)
        pipes._positions[pipe["Arn"]] = position


def _stream_parameters(pipe: _Properties) -> _Properties:
    found: _Properties = (pipe.get("SourceParameters") or {}).get(_STREAM_PARAMETERS) or {}
    return found


def _deliver(pipe: _Properties, batch: list[Any]) -> bool:
    """Whether the batch is done with."""
    from ministack.services import lambda_svc, pipes

    criteria = (pipe.get("SourceParameters") or {}).get("FilterCriteria")
    elements = lambda_svc._apply_filter_criteria(copy.deepcopy(batch), {"FilterCriteria": criteria})
    try:
        if elements and pipe.get("Enrichment"):
            elements = _enriched(pipe["Enrichment"], elements)
        if not elements:
            return True
        service = pipes._arn_service(pipe.get("Target", ""))
        if service not in ("firehose", "events"):
            return bool(pipes._deliver_batch(pipe, elements))
        parameters = pipe.get("TargetParameters") or {}
        template = parameters.get("InputTemplate")
        texts = [render(template, each) if template else json.dumps(each) for each in elements]
        if service == "firehose":
            _to_firehose(pipe["Target"], texts)
        else:
            _to_bus(pipe["Target"], parameters.get("EventBridgeEventBusParameters") or {}, elements, texts)
    except PipeDeliveryError as error:
        _log.warning("Pipe %s tries again: %s", pipe["Name"], error)
        return False
    return True


class PipeDeliveryError(RuntimeError):
    """Raised when the enrichment or the target did not take a batch, or a part of it."""


def _enriched(function: str, elements: list[Any]) -> list[Any]:
    from ministack.services import lambda_svc

    record, config, name = lambda_svc._get_func_record_for_ref(function)
    if not record or not config:
        raise PipeDeliveryError(f"there is no function {name}")
    execution = lambda_svc._execution_record_for_config(record, config)
    result = lambda_svc._execute_function_with_config_scope(execution, elements)
    body = result.get("body")
    if result.get("error"):
        raise PipeDeliveryError(f"function {name} failed")
    answer = json.loads(body) if isinstance(body, str | bytes) and body else body
    return answer if isinstance(answer, list) else [answer] if answer else []


def _to_firehose(target: str, texts: list[str]) -> None:
    from ministack.services import firehose

    records = [{"Data": b64encode(text.encode()).decode()} for text in texts]
    name = target.rpartition("/")[2]
    _whole(
        firehose._put_record_batch({"DeliveryStreamName": name, "Records": records}), "FailedPutCount", name
    )


def _to_bus(target: str, parameters: _Properties, elements: list[Any], texts: list[str]) -> None:
    from ministack.services import eventbridge

    entries = [
        {
            "EventBusName": target,
            "Detail": text,
            **{name: _resolved(parameters.get(name, ""), element) for name in ("Source", "DetailType")},
        }
        for element, text in zip(elements, texts, strict=True)
    ]
    _whole(eventbridge._put_events({"Entries": entries}), "FailedEntryCount", target)


def _resolved(value: str, element: Any) -> str:
    return str(at(value, element)) if value.startswith("$.") else value


def _whole(reply: Any, failed: str, target: str) -> None:
    status, _headers, body = reply
    if status >= 400 or json.loads(body).get(failed):
        raise PipeDeliveryError(f"{target} did not take all of a batch")
