"""What lies in the landing zone: all that is below a prefix, or what its folders by time hold since a day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import SparkSession

_TIME = re.compile(r"/year=([0-9]{4})/(?:month=([0-9]{2})/(?:day=(?P<day>[0-9]{2})/)?)?$")
_AT_ONCE = 16
"""Folders listed at a time: each is a request of some 50 ms, and there is one for every type or site."""


@dataclass(frozen=True, order=True)
class LandingObject:
    """An object of the landing zone. ``key`` is below the root, ``modified`` in epoch milliseconds."""

    key: str
    size: int
    modified: int

    @property
    def etag(self) -> str:
        """What tells versions of one key apart: Hadoop's listing has the time on every file system."""
        return f"modified:{self.modified}"

    @property
    def identity(self) -> tuple[str, int, str]:
        """As the ledger knows it."""
        return self.key, self.size, self.etag

    def uri(self, landing_uri: str) -> str:
        return landing_uri + self.key


def list_objects(
    spark: SparkSession, landing_uri: str, prefix: str, suffixes: tuple[str, ...] = ()
) -> list[LandingObject]:
    """The objects below ``prefix`` (ends with ``/``), by key; none where the prefix does not exist.

    Names that begin with ``_`` or ``.`` are skipped, as Spark's readers and the crawlers skip them.
    """
    files, root = _opened(spark, landing_uri + prefix)
    if not files.exists(root):
        return []
    found = _listed_flat if ".s3a." in str(files.getClass().getName()) else _walked
    return _wanted(found(files, root, prefix), suffixes)


def list_recent(
    spark: SparkSession, landing_uri: str, prefix: str, suffixes: tuple[str, ...], since: date
) -> list[LandingObject]:
    """As ``list_objects``, but of folders ``year=/month=/day=`` only those of ``since`` and later.

    The folders above them are walked: the cost is that of types, sites and some days, whatever landed
    before. What lies in no folder of a day is listed too.
    """
    files, root = _opened(spark, landing_uri + prefix)
    if not files.exists(root):
        return []
    found: list[LandingObject] = []
    days: list[str] = []
    folders = [(root, prefix)]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        while folders:
            walked = list(pool.map(lambda folder: _children(files, *folder), folders))
            found += (each for objects, _ in walked for each in objects)
            folders = []
            for path, name in (folder for _, below in walked for folder in below):
                time = _TIME.search(name)
                if time is None:
                    folders.append((path, name))
                elif _named(time) < _as_named(since, time):
                    continue
                elif time["day"]:
                    days.append(name)
                else:
                    folders.append((path, name))
        found += (
            each for day in pool.map(lambda day: list_objects(spark, landing_uri, day), days) for each in day
        )
    return _wanted(found, suffixes)


def _named(time: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(each) for each in time.groups() if each)


def _as_named(moment: date, time: re.Match[str]) -> tuple[int, ...]:
    """A day's year, month and day, as far as the folder names its own."""
    return (moment.year, moment.month, moment.day)[: len(_named(time))]


def _opened(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    """The file system of an address, and the address as its path."""
    jvm: Any = spark._jvm  # type: ignore[attr-defined, unused-ignore]
    path = jvm.org.apache.hadoop.fs.Path(uri)
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path  # type: ignore[attr-defined, unused-ignore]


def _wanted(objects: Iterable[LandingObject], suffixes: tuple[str, ...]) -> list[LandingObject]:
    return sorted(each for each in objects if not suffixes or each.key.endswith(suffixes))


def _children(files: Any, folder: Any, prefix: str) -> tuple[list[LandingObject], list[tuple[Any, str]]]:
    """The objects and the folders right below a folder."""
    objects, folders = [], []
    for status in files.listStatus(folder):
        name = str(status.getPath().getName())
        if _hidden(name):
            continue
        if status.isDirectory():
            folders.append((status.getPath(), f"{prefix}{name}/"))
        else:
            objects.append(_landing_object(prefix + name, status))
    return objects, folders


def _walked(files: Any, root: Any, prefix: str) -> Iterator[LandingObject]:
    """Folder by folder with ``listStatus``, which unlike ``listFiles`` asks a local disk nothing per file."""
    folders = [(root, prefix)]
    while folders:
        objects, below = _children(files, *folders.pop())
        folders += below
        yield from objects


def _listed_flat(files: Any, root: Any, prefix: str) -> Iterator[LandingObject]:
    """All at once: S3 lists a thousand objects per request whatever their folders, of which each hour adds some."""
    # Paths alone are compared: a file system may name itself by another scheme than it was asked by.
    above = len(str(root.toUri().getPath())) + 1
    statuses = files.listFiles(root, True)
    while statuses.hasNext():
        status = statuses.next()
        below = str(status.getPath().toUri().getPath())[above:]
        if not any(map(_hidden, below.split("/"))):
            yield _landing_object(prefix + below, status)


def _hidden(name: str) -> bool:
    return name.startswith(("_", "."))


def _landing_object(key: str, status: Any) -> LandingObject:
    return LandingObject(key, int(status.getLen()), int(status.getModificationTime()))
