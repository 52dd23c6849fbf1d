"""Lines to landing objects: what goes into one object, what it is called, and writing it once.

An object's name is a function of the records in it, whatever shard or attempt brought them, and a write
never replaces an object: the second delivery of a batch finds its objects there and is done. So the
landing zone is immutable, ``landed_at`` is the time of the first delivery, and readers that remember
objects by key and ETag see nothing new.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ALREADY_THERE = "PreconditionFailed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line on its way to an object.

    ``position`` is its record's place in the batch; ``identity`` tells the record from every other;
    ``sequence_number`` is empty where the record has none.
    """

    folder: str
    line: bytes
    position: int
    identity: str
    sequence_number: str


@dataclass(frozen=True, slots=True)
class LandingObject:
    """Key, lines, and the place in the batch of the record that each line is of."""

    key: str
    lines: tuple[bytes, ...]
    positions: tuple[int, ...]

    @property
    def position(self) -> int:
        """The place of the first record in it."""
        return self.positions[0]

    def body(self) -> bytes:
        """The gzipped NDJSON; the same lines give the same bytes, as the header carries no time."""
        return gzip.compress(b"".join(self.lines), compresslevel=6, mtime=0)


def landing_objects(entries: Iterable[Entry]) -> list[LandingObject]:
    """One object for each folder, in the order of the first record of each.

    Order matters to the caller: when a write fails, all that has not been written starts no earlier.
    """
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folders.setdefault(entry.folder, []).append(entry)
    return [
        LandingObject(
            key=folder + object_name(group),
            lines=tuple(entry.line for entry in group),
            positions=tuple(entry.position for entry in group),
        )
        for folder, group in folders.items()
    ]


def object_name(entries: Sequence[Entry]) -> str:
    """``<first sequence number>-<last>-<hash of the records>.ndjson.gz``.

    The numbers make listings readable; the hash, over which records and in which order, makes the name
    theirs alone.
    """
    digest = sha256("\n".join(entry.identity for entry in entries).encode("utf-8", "surrogatepass"))
    first, last = entries[0].sequence_number or "none", entries[-1].sequence_number or "none"
    return f"{first}-{last}-{digest.hexdigest()[:16]}.ndjson.gz"


def write_once(s3: S3Client, bucket: str, landing_object: LandingObject) -> bool:
    """Write the object unless it is there; whether this call wrote it.

    Raises
    ------
    botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError : it is not known to be there
    """
    from botocore.exceptions import ClientError

    try:
        s3.put_object(
            Bucket=bucket,
            Key=landing_object.key,
            Body=landing_object.body(),
            ContentType="application/x-ndjson",
            # Not Content-Encoding: readers unzip by the name's suffix, and clients that also honour the
            # header would unzip twice.
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == _ALREADY_THERE:
            return False
        raise
    return True
