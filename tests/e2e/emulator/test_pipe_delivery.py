"""EventBridge Pipes, "Filtering", "Enrichment", "Batching": what passes the filter is enriched as an array,
and what the enrichment answers, longer or shorter, goes to the target; a failed batch is tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.functions import create_function
from tests.e2e.emulator.streams import deploy_pipe, messages, put

pytestmark = pytest.mark.e2e

_ENRICH = """
import os

def handler(event, context):
    assert isinstance(event, list) and len(event) <= 2, "a batch, of at most two"
    first_time = not os.path.exists({mark!r})
    open({mark!r}, "w").close()
    if first_time:
        raise RuntimeError("tried again")
    return [
        {{"kind": name, "key": each["dynamodb"]["Keys"]["id"]["S"], "batch": len(event)}}
        for each in event
        for name in each["dynamodb"]["NewImage"]["kinds"]["SS"]
    ]
"""


def test_a_pipe_filters_enriches_and_delivers_to_a_bus(emulator: Emulator, tmp_path: Path) -> None:
    function = create_function(emulator, "enrich", _ENRICH.format(mark=str(tmp_path / "called")))
    events = emulator.client("events")
    events.create_event_bus(Name="piped")
    queue = emulator.client("sqs").create_queue(QueueName="piped")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:piped"
    events.put_rule(Name="piped", EventBusName="piped", EventPattern='{"detail-type": ["left", "right"]}')
    events.put_targets(Rule="piped", EventBusName="piped", Targets=[{"Id": "queue", "Arn": arn}])
    pipe = {
        "SourceParameters": {
            "FilterCriteria": {
                "Filters": [{"Pattern": '{"dynamodb": {"NewImage": {"ok": {"BOOL": [true]}}}}'}]
            }
        },
        "Enrichment": function,
        "Target": "arn:aws:events:us-east-1:000000000000:event-bus/piped",
        "TargetParameters": {
            "InputTemplate": '{"id":"<$.key>","of":<$.batch>}',
            "EventBridgeEventBusParameters": {"Source": "tests", "DetailType": "$.kind"},
        },
    }
    deploy_pipe(emulator, "piped", {}, pipe, batch_size=2)
    for key, ok, kinds in (("a", True, ["left", "right"]), ("b", False, ["left"]), ("c", True, ["none"])):
        put(emulator, "piped", key, ok={"BOOL": ok}, kinds={"SS": kinds})
    got: list[dict[str, Any]] = []

    def all_there() -> bool:
        got.extend(messages(emulator, queue))
        return len(got) >= 2

    until(all_there)
    # `a` and `b` were a batch, of which the filter left one; `c` is on the bus under a name without a rule.
    told = sorted((each["detail-type"], each["source"], each["detail"]["id"]) for each in got)
    assert told == [("left", "tests", "a"), ("right", "tests", "a")]
    assert (tmp_path / "called").exists()
