"""Which versions of resources have landed already, in DynamoDB, for a week.

A record is written after the version has landed and was announced. So a function that dies in between does
both again, which harms nothing, and never neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEEP: Final = timedelta(days=7)
"""Longer than a message lives in a queue (4 days). What is forgotten lands twice, which harms nothing."""
_BATCH: Final = 100
"""Keys that BatchGetItem takes."""
_ATTEMPTS: Final = 6


class SeenUnknownError(Exception):
    """Raised when DynamoDB did not answer for all keys in several attempts; the batch is tried again."""


@dataclass(frozen=True)
class SeenVersions:
    """The records `SEEN#<Type>/<id>#<version>` of the changes table."""

    dynamodb: DynamoDBClient
    table: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    pause: Callable[[float], None] = time.sleep

    def unseen(self, identities: Iterable[str]) -> set[str]:
        """Those that have not landed. Raises SeenUnknownError, botocore's errors."""
        wanted = sorted(set(identities))
        seen: set[str] = set()
        for start in range(0, len(wanted), _BATCH):
            seen |= self._seen(wanted[start : start + _BATCH])
        return set(wanted) - seen

    def _seen(self, identities: list[str]) -> set[str]:
        keys: list[Any] = [{"id": {"S": _key(identity)}} for identity in identities]
        found: set[str] = set()
        for attempt in range(_ATTEMPTS):
            reply = self.dynamodb.batch_get_item(
                RequestItems={
                    self.table: {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "id"}
                }
            )
            found |= {item["id"]["S"].removeprefix("SEEN#") for item in reply["Responses"][self.table]}
            left: Any = reply.get("UnprocessedKeys") or {}
            keys = list(left[self.table]["Keys"]) if self.table in left else []
            if not keys:
                return found
            self.pause(0.05 * 2**attempt)
        raise SeenUnknownError(f"{len(keys)} keys were not read in {_ATTEMPTS} attempts")

    def mark(self, identities: Iterable[str]) -> int:
        """Write down that they landed; how many another call had marked meanwhile."""
        expires = {"N": str(int((self.now() + KEEP).timestamp()))}
        return sum(not self._mark(identity, expires) for identity in sorted(set(identities)))

    def _mark(self, identity: str, expires: Any) -> bool:
        try:
            self.dynamodb.put_item(
                TableName=self.table,
                Item={"id": {"S": _key(identity)}, "expiresAt": expires},
                ConditionExpression="attribute_not_exists(id)",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _key(identity: str) -> str:
    return f"SEEN#{identity}"
