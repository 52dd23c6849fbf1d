"""Where a replay reads and writes, what it did, and the objects it has to do with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lambdas.land_item_changes.sink import Plan, plan_batch, write_objects
from lambdas.shared.item_change import ItemTypeIndex, Landed
from lambdas.shared.landing_object import LandingObject, write_once
from local.errors import LocalError
from schemas import load_item_types

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LANDED_BY = "replay:local"


class ReplayError(LocalError):
    """Raised when a replay cannot go on; what it did before stays done, and repeating it is safe."""


@dataclass(frozen=True)
class Place:
    """The buckets of one deployment, and the client that reaches them."""

    s3: S3Client
    landing: str
    failures: str

    def found(self, bucket: str, prefix: str, since: datetime | None) -> Iterator[str]:
        """Keys below a prefix that were written at or after ``since``."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                if since is None or entry["LastModified"] >= since:
                    yield entry["Key"]

    def read(self, bucket: str, key: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def move(self, bucket: str, key: str, target: str) -> None:
        """Put an object aside; killed between the two calls, it is there twice, which does no harm."""
        self.s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": key})
        self.s3.delete_object(Bucket=bucket, Key=key)

    def land(self, records: list[Any]) -> Landing:
        """Land stream records as the function does, poison to quarantine; the names are theirs alone.

        Raises
        ------
        ReplayError : a write failed
        """
        plan = plan_batch(records, self._item_types, Landed(datetime.now(UTC), LANDED_BY))
        written: list[str] = []

        def write(each: LandingObject) -> None:
            if write_once(self.s3, self.landing, each):
                written.append(each.key)

        failure = write_objects(plan.objects, write)
        if failure is not None:
            raise ReplayError(
                f"Bucket {self.landing} did not take an object: {type(failure.error).__name__}.",
                "See to the bucket, then replay again: what has landed is not landed twice.",
            )
        return Landing(plan, frozenset(written))

    @cached_property
    def _item_types(self) -> ItemTypeIndex:
        return ItemTypeIndex(load_item_types().values())


@dataclass(frozen=True)
class Landing:
    """What a batch became: its plan, and which of its objects this call wrote."""

    plan: Plan
    written: frozenset[str]

    @property
    def refused(self) -> int:
        return sum(self.plan.quarantined.values())


@dataclass
class Replayed:
    """What a replay did.

    Attributes
    ----------
    source : ``failures``, ``quarantine`` or ``landing``
    objects : parked or quarantined objects that were tried
    records : stream records in them
    landed : records that were read; their changes are in the landing zone now
    refused : records that still cannot be read, and are in quarantine
    new_objects : landing objects written; the others were there already
    rereads : landing objects that the next run of ``conform_items`` reads again
    unreadable : keys of objects that hold no records to replay, left where they are
    """

    source: str
    objects: int = 0
    records: int = 0
    landed: int = 0
    refused: int = 0
    new_objects: int = 0
    rereads: int = 0
    unreadable: list[str] | None = None

    def add(self, landing: Landing, records: int) -> None:
        self.records += records
        self.refused += landing.refused
        self.landed += records - landing.refused
        self.new_objects += len(landing.written)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "unreadable": self.unreadable or []}
