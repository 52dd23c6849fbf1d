"""How an object of any size is copied within S3: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
SINGLE_COPY_LIMIT: Final = 5 * GIB
"""CopyObject takes at most 5 GB; UploadPartCopy too, per part."""
MAX_PARTS: Final = 10_000
MAX_OBJECT: Final = MAX_PARTS * 5 * GIB
"""What parts can make up; no object in S3 is larger."""
_PREFERRED_PART: Final = 512 * MIB


class TooLargeError(Exception):
    """Raised when an object is larger than S3 can hold."""


@dataclass(frozen=True)
class Part:
    """One part of a multipart copy: its number from 1, its first and last byte."""

    number: int
    first: int
    last: int

    @property
    def range(self) -> str:
        """As `CopySourceRange` takes it."""
        return f"bytes={self.first}-{self.last}"


def needs_parts(size: int) -> bool:
    """More than one CopyObject can do."""
    return size > SINGLE_COPY_LIMIT


def part_size(size: int) -> int:
    """Bytes per part: 512 MiB, or as many whole MiB as keep the parts to 10,000. Raises TooLargeError."""
    if size > MAX_OBJECT:
        raise TooLargeError(f"{size} bytes are more than S3's largest object")
    least = -(-size // MAX_PARTS)
    return max(_PREFERRED_PART, -(-least // MIB) * MIB)


def parts(size: int) -> Iterator[Part]:
    """The parts of an object of `size` bytes: adjacent, complete, each of at most 5 GiB."""
    step = part_size(size)
    for number, first in enumerate(range(0, size, step), start=1):
        yield Part(number, first, min(first + step, size) - 1)
