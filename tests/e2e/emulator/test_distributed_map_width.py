"""Step Functions, "Distributed Map": every item is processed, at most `MaxConcurrency` at a time; how many
fewer is the service's choice. Here it is as many as the machine has cores for.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from local.emulator.patches.distributed_map_width import WIDTH
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.functions import ANY_ROLE, create_function

pytestmark = pytest.mark.e2e

_SOURCE = """
import os, time

def handler(event, context):
    time.sleep(0.1)
    return {"item": event, "process": os.getpid()}
"""


def test_all_items_are_processed_by_few_processes(emulator: Emulator) -> None:
    function = create_function(emulator, "one-item", _SOURCE)
    call: dict[str, Any] = {"Type": "Task", "Resource": function, "End": True}
    machine: dict[str, Any] = {
        "StartAt": "Each",
        "States": {
            "Each": {
                "Type": "Map",
                "MaxConcurrency": 40,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Call",
                    "States": {"Call": call},
                },
                "End": True,
            }
        },
    }
    items = list(range(4 * WIDTH))
    states = emulator.client("stepfunctions")
    arn = states.create_state_machine(name="wide", definition=json.dumps(machine), roleArn=ANY_ROLE)
    run = states.start_execution(stateMachineArn=arn["stateMachineArn"], input=json.dumps(items))
    until(lambda: states.describe_execution(executionArn=run["executionArn"])["status"] != "RUNNING")
    results = json.loads(states.describe_execution(executionArn=run["executionArn"])["output"])
    assert [each["item"] for each in results] == items
    assert len({each["process"] for each in results}) <= WIDTH
