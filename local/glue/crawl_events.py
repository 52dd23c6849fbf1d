"""The queue of a crawler in event mode, read as Glue documents it.

Events only say where to look: a crawl lists the folders that they name. They are deleted when the partitions are
there, and given back where the crawl fails; whether Glue gives them back, or they are seen again after the queue's
visibility timeout, is not documented.
https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-event-notifications.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_MESSAGES = 100_000
"""That one crawl reads; what is left waits for the next."""

_BATCH = 10
"""The most that one request receives or deletes."""


@dataclass
class Events:
    """What one crawl has read: ``objects`` are pairs of bucket and key, ``receipts`` what deletes the messages."""

    objects: set[tuple[str, str]] = field(default_factory=set)
    receipts: list[str] = field(default_factory=list)


def queue_url(queue_arn: str, sqs: SQSClient) -> str:
    """Raises ``QueueDoesNotExist`` where there is none of that ARN."""
    return sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]


def read_events(url: str, sqs: SQSClient, at_most: int) -> Events:
    """Everything that waits in the queue. What is no notification of S3's is left there, and so becomes a dead
    letter."""
    events = Events()
    while len(events.receipts) < at_most:
        wanted = min(_BATCH, at_most - len(events.receipts))
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=wanted).get("Messages", [])
        if not messages:
            break
        for message in messages:
            try:
                events.objects.update(_objects(message["Body"]))
            except (AttributeError, KeyError, TypeError, ValueError):
                continue
            events.receipts.append(message["ReceiptHandle"])
    return events


def delete_events(url: str, events: Events, sqs: SQSClient) -> None:
    """Done with: the next crawl does not see them."""
    for batch in _batches(events):
        sqs.delete_message_batch(
            QueueUrl=url, Entries=[{"Id": id_, "ReceiptHandle": receipt} for id_, receipt in batch]
        )


def give_back(url: str, events: Events, sqs: SQSClient) -> None:
    """Not done with: the next crawl sees them at once."""
    for batch in _batches(events):
        sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[{"Id": id_, "ReceiptHandle": receipt, "VisibilityTimeout": 0} for id_, receipt in batch],
        )


def _batches(events: Events) -> Iterator[list[tuple[str, str]]]:
    """The receipts, as many as one request takes at a time, each with an id for the request."""
    named = [(str(at), receipt) for at, receipt in enumerate(events.receipts)]
    for start in range(0, len(named), _BATCH):
        yield named[start : start + _BATCH]


def _objects(body: str) -> Iterator[tuple[str, str]]:
    """The objects that a message tells of; the test that S3 sends to a new queue tells of none."""
    message = json.loads(body)
    if message.get("Event") == "s3:TestEvent":
        return
    for record in message["Records"]:
        about = record["s3"]
        yield about["bucket"]["name"], unquote_plus(about["object"]["key"])
