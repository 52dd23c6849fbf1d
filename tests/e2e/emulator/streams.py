"""A table with a stream and a pipe behind it, from a small template, for the contracts of pipes."""

from __future__ import annotations

import json
from typing import Any

from local.emulator import Emulator

ROLE = "arn:aws:iam::000000000000:role/any"


def deploy_pipe(
    emulator: Emulator, name: str, resources: dict[str, Any], pipe: dict[str, Any], batch_size: int = 10
) -> None:
    """Deploy table `name` with a stream, `resources`, and a pipe from its beginning with properties `pipe`."""
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        },
    }
    source = {
        **pipe.pop("SourceParameters", {}),
        "DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON", "BatchSize": batch_size},
    }
    declared = {
        "Type": "AWS::Pipes::Pipe",
        "Properties": {
            "Name": name,
            "RoleArn": ROLE,
            "Source": {"Fn::GetAtt": ["Table", "StreamArn"]},
            "SourceParameters": source,
            **pipe,
        },
    }
    template = {"Resources": {"Table": table, "Pipe": declared, **resources}}
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def put(emulator: Emulator, table: str, key: str, **attributes: dict[str, Any]) -> None:
    emulator.client("dynamodb").put_item(TableName=table, Item={"id": {"S": key}, **attributes})


def messages(emulator: Emulator, queue_url: str) -> list[Any]:
    """Take what is in a queue."""
    sqs = emulator.client("sqs")
    received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    for each in received:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"])
    return [json.loads(each["Body"]) for each in received]
