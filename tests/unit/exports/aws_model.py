"""The AWS that the export functions touch, in memory: a table, queues, buckets. Each call may crash."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

Before = Callable[[], None]
"""Called before and after every effect: what a crash may come between."""


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Model")


@dataclass
class Table:
    """A DynamoDB table with the key ``id``, and of its expressions those that the project uses."""

    crash: Before
    items: dict[str, dict[str, Any]] = field(default_factory=dict)

    def get_item(self, *, Key: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        self.crash()
        item = self.items.get(Key["id"]["S"])
        return {"Item": dict(item)} if item is not None else {}

    def put_item(self, *, Item: Mapping[str, Any], ConditionExpression: str = "", **_: Any) -> dict[str, Any]:
        self.crash()
        held = self.items.get(Item["id"]["S"], {})
        if ConditionExpression and not _condition(ConditionExpression, held, {}):
            raise refusal("ConditionalCheckFailedException")
        self.items[Item["id"]["S"]] = dict(Item)
        self.crash()
        return {}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:
        self.crash()
        ((name, asked),) = RequestItems.items()
        found = [self.items[key["id"]["S"]] for key in asked["Keys"] if key["id"]["S"] in self.items]
        return {"Responses": {name: found}}

    def update_item(
        self,
        *,
        Key: Mapping[str, Any],
        UpdateExpression: str,
        ConditionExpression: str = "",
        ExpressionAttributeValues: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        self.crash()
        key, values = Key["id"]["S"], ExpressionAttributeValues or {}
        item = dict(self.items.get(key, {"id": Key["id"]}))
        if ConditionExpression and not _condition(ConditionExpression, item, values):
            raise refusal("ConditionalCheckFailedException")
        for clause, body in re.findall(r"(SET|REMOVE|ADD) (.*?)(?= SET | REMOVE | ADD |$)", UpdateExpression):
            for part in re.split(r", (?![^(]*\))", body):
                _apply(clause, part.strip(), item, values)
        self.items[key] = item
        self.crash()
        return {"Attributes": dict(item)}


def _apply(clause: str, part: str, item: dict[str, Any], values: Mapping[str, Any]) -> None:
    if clause == "REMOVE":
        item.pop(part, None)
    elif clause == "ADD":
        name, value = part.split()
        held = int(item.get(name, {"N": "0"})["N"])
        item[name] = {"N": str(held + int(values[value]["N"]))}
    else:
        name, _, value = (each.strip() for each in part.partition("="))
        default = re.fullmatch(r"if_not_exists\((\w+), (:\w+)\)", value)
        item[name] = item.get(default[1], values[default[2]]) if default else values[value]


def _condition(text: str, item: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    def one(test: str) -> bool:
        absent = re.fullmatch(r"attribute_not_exists\((\w+)\)", test)
        if absent:
            return absent[1] not in item
        name, operator, value = test.split()
        if name not in item:
            return False
        held, wanted = (next(iter(each.values())) for each in (item[name], values[value]))
        holds: dict[str, bool] = {"=": held == wanted, "<": held < wanted, ">": held > wanted}
        return holds[operator]

    return any(one(test.strip()) for test in text.split(" OR "))


@dataclass
class Message:
    """A message and when it can be received."""

    body: str
    visible: float
    receives: int = 0


@dataclass
class Queue:
    """A queue; a message that five invocations crash on goes to the dead letters."""

    now: Callable[[], float]
    crash: Before
    messages: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)

    def send_message(self, *, MessageBody: str, DelaySeconds: int = 0, **_: Any) -> dict[str, Any]:
        self.crash()
        self.messages.append(Message(MessageBody, self.now() + DelaySeconds))
        self.crash()
        return {}

    def receive(self) -> Message | None:
        """A visible message, hidden for six minutes; the receiver removes it."""
        for message in self.messages:
            if message.visible <= self.now():
                message.visible, message.receives = self.now() + 360, message.receives + 1
                if message.receives > 5:
                    self.messages.remove(message)
                    self.dead.append(message)
                    return None
                return message
        return None


@dataclass
class Queues:
    """The SQS client of the functions."""

    by_url: Mapping[str, Queue]

    def send_message(self, *, QueueUrl: str, **more: Any) -> dict[str, Any]:
        return self.by_url[QueueUrl].send_message(**more)


@dataclass
class Buckets:
    """The S3 client: objects by (bucket, key)."""

    crash: Before
    objects: dict[tuple[str, str], tuple[bytes, dict[str, str]]] = field(default_factory=dict)

    def put(self, bucket: str, key: str, body: bytes, _kms_key: str) -> None:
        """As the simulator stores its files."""
        self.objects[bucket, key] = (body, {})

    def read(self, bucket: str, prefix: str) -> list[bytes]:
        """As the simulator reads files of imports."""
        found = sorted(self.objects.items())
        return [body for (name, key), (body, _) in found if name == bucket and key.startswith(prefix)]

    def put_object(
        self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str = "", **_: Any
    ) -> dict[str, Any]:
        self.crash()
        if IfNoneMatch and (Bucket, Key) in self.objects:
            raise refusal("PreconditionFailed")
        self.objects[Bucket, Key] = (Body, {})
        self.crash()
        return {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.crash()
        return {"Body": io.BytesIO(self.objects[Bucket, Key][0])}

    def head_object(self, *, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:
        self.crash()
        if (Bucket, Key) not in self.objects:
            raise refusal("404")
        body, metadata = self.objects[Bucket, Key]
        return {"ContentLength": len(body), "ETag": f'"{hash(body):x}"', "Metadata": metadata}

    def copy_object(
        self, *, Bucket: str, Key: str, CopySource: Mapping[str, str], Metadata: dict[str, str], **_: Any
    ) -> dict[str, Any]:
        self.crash()
        self.objects[Bucket, Key] = (self.objects[CopySource["Bucket"], CopySource["Key"]][0], Metadata)
        self.crash()
        return {}

    def get_paginator(self, _: str) -> Buckets:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        self.crash()
        found = [
            {"Key": key, "Size": len(body), "ETag": '"e"'}
            for (bucket, key), (body, _) in self.objects.items()
            if bucket == Bucket and key.startswith(Prefix)
        ]
        yield {"Contents": found}
