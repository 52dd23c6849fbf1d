"""What a function behind a queue or a stream answers: which of a batch's items to deliver again.

`ReportBatchItemFailures`: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    batchItemFailures: list[ItemFailure]


def deliver_again(identifiers: Iterable[str]) -> BatchResponse:
    """The answer that asks for these (message ids, sequence numbers) again, and for none where there are none."""
    return {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}
