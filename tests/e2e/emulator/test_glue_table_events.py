"""AWS Glue, "Automating with EventBridge": a change of a table in the catalog is an event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from tests.e2e.emulator.conftest import until

pytestmark = pytest.mark.e2e


def test_a_table_that_is_made_or_changed_is_told_of(emulator: Emulator) -> None:
    glue, events, sqs = (emulator.client(name) for name in ("glue", "events", "sqs"))
    queue = sqs.create_queue(QueueName="table-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.glue"], "detail": {"databaseName": ["told"]}}
    events.put_rule(Name="table-events", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="table-events", Targets=[{"Id": "queue", "Arn": arn}])
    for database in ("told", "other"):
        glue.create_database(DatabaseInput={"Name": database})
        glue.create_table(DatabaseName=database, TableInput={"Name": "t"})
    glue.update_table(DatabaseName="told", TableInput={"Name": "t", "Description": "changed"})
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.update_table(DatabaseName="told", TableInput={"Name": "missing"})
    heard: list[dict[str, Any]] = []

    def both() -> bool:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        heard.extend(json.loads(each["Body"]) for each in received)
        return len(heard) >= 2

    until(both)
    assert {each["detail-type"] for each in heard} == {"Glue Data Catalog Table State Change"}
    details = sorted((each["detail"] for each in heard), key=lambda detail: detail["typeOfChange"])
    assert details == [
        {"databaseName": "told", "tableName": "t", "typeOfChange": "CreateTable"},
        {"databaseName": "told", "tableName": "t", "typeOfChange": "UpdateTable"},
    ]
