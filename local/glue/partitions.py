"""Hive's partition folders: ``site_id=a%2Fb/year=2025/…`` and the partition that each is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass
class Folders:
    """The partition folders under a table's location.

    ``found`` maps a partition's values, decoded, to its folder below the location, as it is written there.
    ``first`` maps them to the first key seen in it. ``ignored`` maps each folder that is no partition of this table
    to what is wrong with it.
    """

    found: dict[tuple[str, ...], str] = field(default_factory=dict)
    first: dict[tuple[str, ...], str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)


def partition_folders(keys: Iterable[str], partition_keys: Sequence[str]) -> Folders:
    """The folders that ``keys`` (object keys below a table's location) lie in.

    What begins with ``_`` or ``.`` at any level is not data, as for Hive, and is passed over.
    """
    folders = Folders()
    for key in keys:
        parts = key.split("/")
        if not parts[-1] or any(part.startswith(("_", ".")) for part in parts):
            continue
        levels = parts[: len(partition_keys)]
        folder = "/".join(levels)
        if folder in folders.ignored:
            continue
        problem = _problem(levels, partition_keys, is_file=len(parts) <= len(partition_keys))
        if problem:
            folders.ignored[folder] = problem
        else:
            values = tuple(unquote(level.partition("=")[2]) for level in levels)
            folders.found.setdefault(values, folder)
            folders.first.setdefault(values, key)
    return folders


def _problem(levels: Sequence[str], partition_keys: Sequence[str], is_file: bool) -> str:
    if is_file:
        return f"lies above the partitions {'/'.join(partition_keys)}"
    for level, name in zip(levels, partition_keys, strict=True):
        written, separator, _ = level.partition("=")
        if not separator:
            return f"{level} is not {name}=<value>"
        if _plain(written) != _plain(name):
            return f"{written} stands where {name} is declared"
    return ""


def _plain(name: str) -> str:
    """``siteId`` in a path is the column ``site_id``."""
    return name.replace("_", "").lower()
