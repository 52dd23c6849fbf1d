"""What a sync between a bucket and its mirror has to do: pure functions over three listings.

``remote`` is what S3 holds, ``local`` what the mirror holds, ``known`` what both held when a file was last
transferred. A file is *dirty* where the mirror no longer holds what was transferred: a job wrote it, and it
is pushed, whatever S3 says. All else follows S3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteObject:
    etag: str
    size: int


@dataclass(frozen=True)
class LocalFile:
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Transferred:
    """One file as it was when S3 and the mirror last agreed on it."""

    etag: str
    size: int
    mtime_ns: int

    def is_now(self, file: LocalFile) -> bool:
        return (file.size, file.mtime_ns) == (self.size, self.mtime_ns)


Pushes = Callable[[str], bool]
"""Whether a key is one that jobs write, and that is therefore pushed."""


@dataclass(frozen=True)
class PullPlan:
    """``compare`` holds keys whose file lies there without a record of its transfer: a sync was killed."""

    download: tuple[str, ...]
    compare: tuple[str, ...]
    delete: tuple[str, ...]


@dataclass(frozen=True)
class PushPlan:
    """``upload`` is in waves: all of one are in S3 before the next begins. ``delete`` likewise."""

    upload: tuple[tuple[str, ...], ...]
    delete: tuple[tuple[str, ...], ...]


def plan_pull(
    remote: Mapping[str, RemoteObject],
    local: Mapping[str, LocalFile],
    known: Mapping[str, Transferred],
    pushes: Pushes,
) -> PullPlan:
    """What brings the mirror to what S3 holds, except for what jobs wrote and nobody pushed yet."""
    download, compare = [], []
    for key, there in remote.items():
        here, before = local.get(key), known.get(key)
        if here is None:
            # Deleted by a job that nobody pushed for: the deletion is pushed, not undone.
            if before is None or before.etag != there.etag or not pushes(key):
                download.append(key)
        elif before is None:
            compare.append(key)
        elif before.is_now(here):
            if before.etag != there.etag:
                download.append(key)
        elif not pushes(key):
            download.append(key)
    gone = known.keys() - remote.keys()
    delete = [key for key in gone if key in local and (known[key].is_now(local[key]) or not pushes(key))]
    return PullPlan(tuple(sorted(download)), tuple(sorted(compare)), tuple(sorted(delete)))


def plan_push(local: Mapping[str, LocalFile], known: Mapping[str, Transferred], pushes: Pushes) -> PushPlan:
    """What brings S3 to what jobs made of the mirror."""
    upload = [
        key for key, here in local.items() if pushes(key) and not (key in known and known[key].is_now(here))
    ]
    delete = [key for key in known if key not in local and pushes(key)]
    return PushPlan(_waves(upload, _rank), _waves(delete, lambda key: -_rank(key)))


def _rank(key: str) -> int:
    """Iceberg's order of reference: each file names only files of a lower rank, so a reader that finds one
    finds all that it names."""
    folder, _, name = key.rpartition("/")
    if not folder.endswith("/metadata"):
        return 0
    if name == "version-hint.text":
        return 3
    return 2 if name.endswith(".metadata.json") else 1


def _waves(keys: Iterable[str], rank: Callable[[str], int]) -> tuple[tuple[str, ...], ...]:
    by_rank: dict[int, list[str]] = {}
    for key in sorted(keys):
        by_rank.setdefault(rank(key), []).append(key)
    return tuple(tuple(by_rank[each]) for each in sorted(by_rank))
