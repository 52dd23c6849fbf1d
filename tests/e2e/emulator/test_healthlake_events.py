"""EventBridge's user guide: a source that begins with `aws.` is a service's own; PutEvents refuses it from
others, entry by entry. HealthLake is such a service, and here the simulator.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until

pytestmark = pytest.mark.e2e


def test_healthlakes_events_reach_their_rules_and_those_of_other_services_are_refused(
    emulator: Emulator,
) -> None:
    events, sqs = emulator.client("events"), emulator.client("sqs")
    queue = sqs.create_queue(QueueName="healthlake-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="healthlake-events", EventPattern='{"source": [{"prefix": "aws."}]}')
    events.put_targets(Rule="healthlake-events", Targets=[{"Id": "queue", "Arn": arn}])

    def put(source: str) -> Any:
        return events.put_events(Entries=[{"Source": source, "DetailType": "x", "Detail": "{}"}])

    assert put("aws.healthlake")["FailedEntryCount"] == 0
    assert put("aws.s3")["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    received: list[str] = []

    def heard() -> bool:
        received.extend(each["Body"] for each in sqs.receive_message(QueueUrl=queue).get("Messages", []))
        return bool(received)

    until(heard)
    assert [json.loads(body)["source"] for body in received] == ["aws.healthlake"]
