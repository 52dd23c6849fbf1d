"""A model of Lambda's event source mapping for DynamoDB streams, written from AWS's documentation.

It keeps what decides whether changes are lost, doubled or put out of order:

- shards that follow upon each other: a child is read only when its parent has been read to its end;
- batches of one shard, in order, cut by number, by 6 MB of payload, or when the batching window has passed;
- ``ReportBatchItemFailures``: the lowest reported sequence number is the checkpoint, and everything from it
  on is delivered again; an empty, null or unknown identifier fails the whole batch;
- bisecting: in halves after an error, at the reported record after a partial failure; it uses no attempt;
- a bounded number of attempts, and of the age of a record, after which a batch is given up;
- a failure destination in S3, which gets the whole invocation record;
- delivery at least once: a batch that succeeded may come again.

Not modelled: ``ParallelizationFactor`` (the stack leaves it at 1), tumbling windows, filters. Sources:
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html,
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
Handler = Callable[[Mapping[str, Any], object], Mapping[str, Any]]
Choose = Callable[[int], int]
"""Picks one of so many: which shard is read next, whether a batch comes again."""

MAX_PAYLOAD_BYTES = 6 * 2**20
_WHOLE_BATCH = 0


@dataclass(frozen=True)
class Shard:
    """Records of some keys, in order; ``parent`` names the shard that holds these keys' earlier records."""

    name: str
    records: Sequence[Record]
    parent: str | None = None


@dataclass
class EventSourceMapping:
    """Delivers shards to a handler.

    ``attempts`` is ``MaximumRetryAttempts`` plus the first; ``record_age`` and ``window`` are in seconds (None:
    no bound); ``pause`` is what each attempt takes of the clock that ages are measured by. ``destination``
    collects the batches given up, ``parked`` their objects by key.
    """

    handler: Handler
    batch_size: int = 100
    attempts: int = 3
    bisect: bool = True
    record_age: float | None = None
    window: float | None = None
    pause: float = 0.0
    clock: float = 0.0
    destination: list[list[Record]] = field(default_factory=list)
    parked: dict[str, bytes] = field(default_factory=dict)
    invocations: int = 0

    def deliver(self, records: Sequence[Record]) -> None:
        """Process one shard to its end: each batch succeeds, or goes to the failure destination."""
        for batch in self._batches(records):
            self._batch(batch, self.attempts)

    def run(self, shards: Sequence[Shard], choose: Choose) -> None:
        """Process all shards to their ends, those side by side that do not follow upon each other.

        After each batch ``choose`` decides whether it is delivered once more, as at least once allows.
        """
        waiting = {shard.name: shard for shard in shards}
        reading: dict[str, Iterator[list[Record]]] = {}
        while waiting or reading:
            for shard in list(waiting.values()):
                if shard.parent is None or (shard.parent not in waiting and shard.parent not in reading):
                    reading[shard.name] = self._batches(waiting.pop(shard.name).records)
            name = sorted(reading)[choose(len(reading))]
            batch = next(reading[name], None)
            if batch is None:
                del reading[name]
                continue
            self._batch(list(batch), self.attempts)
            if choose(4) == 1:
                self._batch(list(batch), self.attempts)

    def _batches(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        batch: list[Record] = []
        size = 0
        for record in records:
            length = len(json.dumps(record)) if len(records) > 1 else 0
            full = len(batch) >= self.batch_size or size + length > MAX_PAYLOAD_BYTES
            if batch and (full or self._window_passed(batch[0], record)):
                yield batch
                batch, size = [], 0
            batch.append(record)
            size += length
        if batch:
            yield batch

    def _window_passed(self, first: Record, record: Record) -> bool:
        return self.window is not None and _made_at(record) - _made_at(first) > self.window

    def _batch(self, batch: list[Record], attempts: int) -> None:
        while batch:
            batch = self._without_expired(batch)
            if not batch:
                return
            failed_from, crashed = self._invoke(batch)
            if failed_from is None:
                return
            if self.bisect and len(batch) > 1 and (crashed or failed_from):
                cut = failed_from or len(batch) // 2
                if crashed:
                    self._batch(batch[:cut], attempts)
                batch = batch[cut:]
                continue
            batch = batch[failed_from:]
            attempts -= 1
            if not attempts:
                self._give_up(batch, "RetryAttemptsExhausted")
                return

    def _without_expired(self, batch: list[Record]) -> list[Record]:
        """What is young enough to be tried; the rest is given up. Records age while a batch is retried."""
        if self.record_age is None:
            return batch
        old = [each for each in batch if self.clock - _made_at(each) > self.record_age]
        if old:
            self._give_up(old, "RecordAgeExceeded")
        return [each for each in batch if self.clock - _made_at(each) <= self.record_age]

    def _give_up(self, batch: list[Record], condition: str) -> None:
        self.destination.append(batch)
        name = f"aws/lambda/esm/shard/2026/11/25/2026-11-25T00.00.00-{len(self.parked):04d}"
        self.parked[name] = invocation_record(batch, condition, self.attempts)

    def _invoke(self, batch: list[Record]) -> tuple[int | None, bool]:
        """Where the batch failed from (None: it did not), and whether the function raised."""
        self.invocations += 1
        self.clock += self.pause
        try:
            response = self.handler({"Records": batch}, None)
        except Exception:
            return _WHOLE_BATCH, True
        failures = response["batchItemFailures"]
        if not failures:
            return None, False
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        identifiers = [each.get("itemIdentifier") for each in failures]
        if not all(each in numbers for each in identifiers):
            return _WHOLE_BATCH, False
        return min(numbers.index(each) for each in identifiers), False


def _made_at(record: Record) -> float:
    made: float = record["dynamodb"]["ApproximateCreationDateTime"]
    return made


def invocation_record(
    records: Sequence[Record], condition: str = "RetryAttemptsExhausted", invocations: int = 1
) -> bytes:
    """What Lambda puts into an S3 destination: where the batch lies in the stream, and the event as text."""
    numbers = [record["dynamodb"].get("SequenceNumber") for record in records]
    document = {
        "requestContext": {
            "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:watershed-land-item-changes",
            "condition": condition,
            "approximateInvokeCount": invocations,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-11-25T09:10:11.021Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": numbers[0],
            "endSequenceNumber": numbers[-1],
            "approximateArrivalOfFirstRecord": "2026-11-25T09:10:00Z",
            "approximateArrivalOfLastRecord": "2026-11-25T09:10:00Z",
            "batchSize": len(records),
            "streamArn": records[0]["eventSourceARN"],
        },
        "payload": json.dumps({"Records": list(records)}),
    }
    return json.dumps(document).encode()
