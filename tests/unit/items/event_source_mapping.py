"""A small model of Lambda's event source mapping for DynamoDB streams, written from AWS's documentation.

It keeps what decides whether changes are lost: batches of one shard in order, ``ReportBatchItemFailures``
(the lowest reported sequence number is the checkpoint; everything from it on is delivered again; an empty,
null or unknown identifier fails the whole batch), bisecting on errors (uses up no attempt), a bounded
number of attempts, and a failure destination that gets the whole invocation. Sources:
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
Handler = Callable[[Mapping[str, Any], object], Mapping[str, Any]]
_WHOLE_BATCH = 0


@dataclass
class EventSourceMapping:
    """Delivers one shard's records to a handler.

    ``attempts`` is ``MaximumRetryAttempts`` plus the first; ``destination`` collects what ran out of them.
    """

    handler: Handler
    batch_size: int = 100
    attempts: int = 3
    bisect: bool = True
    destination: list[list[Record]] = field(default_factory=list)
    invocations: int = 0

    def deliver(self, shard: Sequence[Record]) -> None:
        """Process a shard to its end: each batch succeeds, or goes to the failure destination."""
        for start in range(0, len(shard), self.batch_size):
            self._batch(list(shard[start : start + self.batch_size]), self.attempts)

    def _batch(self, batch: list[Record], attempts: int) -> None:
        while batch:
            failed_from, crashed = self._invoke(batch)
            if failed_from is None:
                return
            if self.bisect and len(batch) > 1 and (crashed or failed_from):
                # Halved after an error; cut at the reported record after a partial failure. Neither uses up
                # an attempt.
                cut = failed_from or len(batch) // 2
                if crashed:
                    self._batch(batch[:cut], attempts)
                batch = batch[cut:]
                continue
            batch = batch[failed_from:]
            attempts -= 1
            if not attempts:
                self.destination.append(batch)
                return

    def _invoke(self, batch: list[Record]) -> tuple[int | None, bool]:
        """Where the batch failed from (None: it did not), and whether the function raised."""
        self.invocations += 1
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
