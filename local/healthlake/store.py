"""Resources with their versions, in SQLite.

Two tables: every version (for `_history`, `vread` and a search that lags), and the current one of each
resource (for reads, exports and searches). They change in one transaction.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambdas.shared import fhir_text
from local.healthlake.clock import instant, now_ms
from local.healthlake.errors import Gone, NotFound, PreconditionFailed

_SCHEMA: Final = """
create table if not exists version (
  type text not null, id text not null, version integer not null, last_updated integer not null,
  method text not null, body text, primary key (type, id, version)
) without rowid;
create table if not exists current (
  type text not null, id text not null, version integer not null, last_updated integer not null,
  deleted integer not null, body text, primary key (type, id)
) without rowid;
create index if not exists current_changes on current (type, last_updated, id);
create index if not exists version_changes on version (type, last_updated, id);
"""


@dataclass(frozen=True)
class Indexed:
    """Until when (milliseconds) the search index is up to date. A resource with a later version is left out;
    or, with `shows_earlier`, found in the version before."""

    until: int
    shows_earlier: bool


@dataclass(frozen=True)
class Version:
    """One version of a resource. `body` is its JSON text, None for a deletion."""

    resource_type: str
    id: str
    version: int
    last_updated: int
    method: str
    body: str | None


@dataclass(frozen=True)
class Window:
    """Bounds on `lastUpdated` in milliseconds; None is open."""

    since: int | None = None
    until: int | None = None
    since_inclusive: bool = True
    until_inclusive: bool = True

    def clause(self) -> tuple[str, list[int]]:
        """SQL condition on `last_updated` and its values."""
        parts: list[str] = []
        values: list[int] = []
        if self.since is not None:
            parts.append(f"last_updated {'>=' if self.since_inclusive else '>'} ?")
            values.append(self.since)
        if self.until is not None:
            parts.append(f"last_updated {'<=' if self.until_inclusive else '<'} ?")
            values.append(self.until)
        return (" and ".join(parts) or "1"), values


class Store:
    """The data store. Safe to use from several threads: one writer at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._write = threading.RLock()
        self._last_ms = 0
        self._recorded: list[Version] = []
        self.on_commit: Callable[[Version], object] | None = None
        """Called with each version once it is stored for good, in order, by the thread that wrote it."""
        with self._connection() as connection:
            connection.executescript(_SCHEMA)

    def create(self, resource: fhir_text.Resource) -> Version:
        """Store a new resource under a new id."""
        with self.transaction():
            return self._put(str(resource["resourceType"]), str(uuid.uuid4()), resource, "POST", None)

    def update(
        self, resource_type: str, id_: str, resource: fhir_text.Resource, if_match: int | None = None
    ) -> Version:
        """Store the next version of this id, or the first. PreconditionFailed where If-Match misses."""
        with self.transaction():
            return self._put(resource_type, id_, resource, "PUT", if_match)

    def delete(self, resource_type: str, id_: str) -> Version | None:
        """Delete; None where there was nothing to delete."""
        with self.transaction() as connection:
            found = self._current(connection, resource_type, id_)
            if found is None or found.body is None:
                return None
            version = Version(resource_type, id_, found.version + 1, self._tick(), "DELETE", None)
            self._record(connection, version)
            return version

    def read(self, resource_type: str, id_: str) -> Version:
        """The current version. Raises NotFound, or Gone where it was deleted."""
        with self._connection() as connection:
            found = self._current(connection, resource_type, id_)
        if found is None:
            raise NotFound(f"{resource_type}/{id_}")
        if found.body is None:
            raise Gone(f"{resource_type}/{id_}")
        return found

    def history(self, resource_type: str, id_: str) -> list[Version]:
        """All versions, newest first, deletions included. Raises NotFound."""
        with self._connection() as connection:
            rows = connection.execute(
                "select type, id, version, last_updated, method, body from version"
                " where type = ? and id = ? order by version desc",
                (resource_type, id_),
            ).fetchall()
        if not rows:
            raise NotFound(f"{resource_type}/{id_}")
        return [Version(*row) for row in rows]

    def types(self) -> list[str]:
        """The resource types that have ever been stored, sorted."""
        with self._connection() as connection:
            return [row[0] for row in connection.execute("select distinct type from current order by type")]

    def counts(self) -> dict[str, int]:
        """How many resources of each type exist now."""
        with self._connection() as connection:
            rows = connection.execute(
                "select type, count(*) from current where not deleted group by type order by type"
            )
            return dict(rows.fetchall())

    def export(self, resource_type: str, window: Window) -> Iterator[str]:
        """Bodies of the current resources whose lastUpdated lies in the window, oldest first.

        The rows are read page by page, each page as the store is then: an export is not a snapshot.
        """
        after = (-1, "")
        clause, values = window.clause()
        while True:
            with self._connection() as connection:
                rows = connection.execute(
                    "select last_updated, id, body from current where type = ? and not deleted"
                    f" and {clause} and (last_updated, id) > (?, ?) order by last_updated, id limit 1000",
                    (resource_type, *values, *after),
                ).fetchall()
            if not rows:
                return
            after = (rows[-1][0], rows[-1][1])
            yield from (row[2] for row in rows)

    def deletions(self, resource_type: str, window: Window) -> list[str]:
        """Ids of the resources that are deleted now, and were so within the window."""
        clause, values = window.clause()
        with self._connection() as connection:
            rows = connection.execute(
                f"select id from current where type = ? and deleted and {clause} order by id",
                (resource_type, *values),
            )
            return [row[0] for row in rows]

    def search(
        self, resource_type: str, window: Window, after: tuple[int, str], count: int, indexed: Indexed | None
    ) -> list[Version]:
        """Up to `count` resources after (lastUpdated, id), in that order, as far as they are indexed."""
        clause, values = window.clause()
        if indexed is None:
            source = "current where type = ? and not deleted"
            bounds: list[object] = [resource_type]
        elif not indexed.shows_earlier:
            source = "current where type = ? and not deleted and last_updated <= ?"
            bounds = [resource_type, indexed.until]
        else:
            source = (
                "version v where type = ? and body is not null and version ="
                " (select max(version) from version w"
                " where w.type = v.type and w.id = v.id and w.last_updated <= ?)"
            )
            bounds = [resource_type, indexed.until]
        with self._connection() as connection:
            rows = connection.execute(
                f"select type, id, version, last_updated, '', body from {source}"
                f" and {clause} and (last_updated, id) > (?, ?) order by last_updated, id limit ?",
                (*bounds, *values, *after, count),
            ).fetchall()
        return [Version(*row) for row in rows]

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; nests (a bundle is one transaction around its entries)."""
        with self._write:
            connection = self._open()
            outermost = not connection.in_transaction
            if outermost:
                connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                if outermost:
                    self._recorded.clear()
                    connection.rollback()
                raise
            if outermost:
                connection.commit()
                committed, self._recorded = self._recorded, []
                if self.on_commit is not None:
                    for version in committed:
                        self.on_commit(version)

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction() as connection:
            connection.execute("delete from version")
            connection.execute("delete from current")

    def _put(
        self, resource_type: str, id_: str, resource: fhir_text.Resource, method: str, if_match: int | None
    ) -> Version:
        connection = self._open()
        found = self._current(connection, resource_type, id_)
        if if_match is not None and (found is None or found.version != if_match):
            raise PreconditionFailed(f"{resource_type}/{id_}")
        number = found.version + 1 if found else 1
        moment = self._tick()
        meta = {**resource.get("meta", {}), "versionId": str(number), "lastUpdated": instant(moment)}
        body = {"resourceType": resource_type, "id": id_, "meta": meta}
        body.update((key, value) for key, value in resource.items() if key not in body)
        version = Version(resource_type, id_, number, moment, method, fhir_text.dumps(body))
        self._record(connection, version)
        return version

    def _record(self, connection: sqlite3.Connection, version: Version) -> None:
        self._recorded.append(version)
        row = (version.resource_type, version.id, version.version, version.last_updated)
        connection.execute(
            "insert into version values (?, ?, ?, ?, ?, ?)", (*row, version.method, version.body)
        )
        connection.execute(
            "insert or replace into current values (?, ?, ?, ?, ?, ?)",
            (*row, version.body is None, version.body),
        )

    @staticmethod
    def _current(connection: sqlite3.Connection, resource_type: str, id_: str) -> Version | None:
        row = connection.execute(
            "select type, id, version, last_updated, '', body from current where type = ? and id = ?",
            (resource_type, id_),
        ).fetchone()
        return Version(*row) if row else None

    def _tick(self) -> int:
        # Never backwards, even where the machine's clock is: lastUpdated orders the versions of a resource.
        self._last_ms = max(now_ms(), self._last_ms)
        return self._last_ms

    def _open(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            self._local.connection = connection
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        yield self._open()


def chunks(lines: Iterable[str], size: int) -> Iterator[Sequence[str]]:
    """Group lines into lists of at most `size`."""
    chunk: list[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
