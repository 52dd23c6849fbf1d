"""Two-way sync between a bucket of the emulator's S3 and its mirror on disk, which Spark sees as ``s3://``.

Safe to kill at any point: a file appears in the mirror only whole, an interrupted sync is found out by
content, and Iceberg's metadata reaches S3 only after everything it names.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from local.glue.errors import MirrorError
from local.glue.mirror_plan import (
    LocalFile,
    Pushes,
    RemoteObject,
    Transferred,
    plan_pull,
    plan_push,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_THREADS = 8
"""The emulator answers from one Python process, so more of them only wait."""

_PART = ".watershed-part"
_MAX_NAME_BYTES = 255 - len(_PART)
_CHUNK = 1 << 20
_DELETE_BATCH = 1000


@dataclass(frozen=True)
class Moved:
    """What one sync did."""

    files: int = 0
    bytes: int = 0
    deleted: int = 0
    skipped: tuple[str, ...] = ()
    """Keys that cannot be files, such as ``a//b``: left in S3 and unseen by jobs."""


@dataclass
class _Manifest:
    """What was transferred, and of which bucket: one made anew under the same name is another bucket."""

    bucket_created: str = ""
    files: dict[str, Transferred] = field(default_factory=dict)


class Mirror:
    """The mirror of one bucket: ``<folder>/<bucket>/``, with its record beside it.

    Parameters
    ----------
    pushes : says of a key whether jobs write it; only those are pushed
    store : where the S3 behind ``s3`` may keep the bucket's objects as files; used for what it proves to be
        by its checksum, since a thousand small objects take seconds over HTTP
    """

    def __init__(
        self, s3: S3Client, folder: Path, bucket: str, pushes: Pushes, store: Path | None = None
    ) -> None:
        self.bucket = bucket
        self._store = store
        self.root = folder / bucket
        self._record = folder / f"{bucket}.json"
        self._s3 = s3
        self._pushes = pushes

    def pull(self) -> Moved:
        """Bring the mirror to what S3 holds. What a job wrote and nobody pushed yet stays.

        Raises
        ------
        MirrorError : the bucket does not exist
        """
        created = self._created()
        with self._manifest() as manifest:
            if manifest.bucket_created not in ("", created):
                # Another bucket of that name: nothing here is of it, not even what was never pushed.
                shutil.rmtree(self.root, ignore_errors=True)
            if not self.root.exists():
                # Someone removed the mirror: that is no wish to remove what S3 holds.
                manifest.files.clear()
            manifest.bucket_created = created
            self.root.mkdir(parents=True, exist_ok=True)
            remote, skipped = self._remote()
            plan = plan_pull(remote, self._local(), manifest.files, self._pushes)
            differ = [key for key in plan.compare if not self._adopt(key, remote[key], manifest)]
            download = [*plan.download, *(key for key in differ if not self._pushes(key))]
            self._each(download, lambda key: self._download(key, remote[key].etag, manifest))
            for key in plan.delete:
                self._remove(key)
            for key in [key for key in manifest.files if key not in remote]:
                del manifest.files[key]
            return Moved(len(download), sum(remote[key].size for key in download), len(plan.delete), skipped)

    def push_new(self) -> Moved:
        """Upload what jobs wrote, Iceberg's metadata after all that it names."""
        with self._manifest() as manifest:
            local = self._local()
            plan = plan_push(local, manifest.files, self._pushes)
            for wave in plan.upload:
                self._each(wave, lambda key: self._upload(key, manifest))
            keys = [key for wave in plan.upload for key in wave]
            return Moved(len(keys), sum(local[key].size for key in keys))

    def push_deletions(self) -> Moved:
        """Delete in S3 what jobs deleted; after the catalog no longer points there."""
        with self._manifest() as manifest:
            plan = plan_push(self._local(), manifest.files, self._pushes)
            for wave in plan.delete:
                for start in range(0, len(wave), _DELETE_BATCH):
                    batch = wave[start : start + _DELETE_BATCH]
                    self._s3.delete_objects(
                        Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                    )
                    for key in batch:
                        del manifest.files[key]
            return Moved(deleted=sum(map(len, plan.delete)))

    def _created(self) -> str:
        for bucket in self._s3.list_buckets()["Buckets"]:
            if bucket["Name"] == self.bucket:
                return bucket["CreationDate"].isoformat()
        raise MirrorError(
            f"The bucket {self.bucket} does not exist. Create the stacks with: watershed deploy"
        )

    def _remote(self) -> tuple[dict[str, RemoteObject], tuple[str, ...]]:
        found: dict[str, RemoteObject] = {}
        skipped: list[str] = []
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for each in page.get("Contents", []):
                key = each["Key"]
                if not is_file_key(key):
                    # A key that ends with / is a console's way to show an empty folder.
                    skipped.extend([] if key.endswith("/") else [key])
                    continue
                found[key] = RemoteObject(each["ETag"].strip('"'), each["Size"])
        return found, tuple(skipped)

    def _local(self) -> dict[str, LocalFile]:
        found: dict[str, LocalFile] = {}
        for folder, folders, names in os.walk(self.root):
            # A job killed while it wrote leaves this; no reader looks into it.
            folders[:] = [each for each in folders if each != "_temporary"]
            prefix = Path(folder).relative_to(self.root).as_posix()
            for name in names:
                # Hadoop's checksum files are the local file system's own; parts are downloads under way.
                if name.endswith((".crc", _PART)):
                    continue
                status = (Path(folder) / name).stat()
                key = name if prefix == "." else f"{prefix}/{name}"
                found[key] = LocalFile(status.st_size, status.st_mtime_ns)
        return found

    def _each(self, keys: Iterable[str], work: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(work, keys):
                pass

    def _download(self, key: str, etag: str, manifest: _Manifest) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + _PART)
        if not self._copied(key, etag, part):
            reply = self._s3.get_object(Bucket=self.bucket, Key=key)
            etag = reply["ETag"].strip('"')
            with part.open("wb") as file:
                for chunk in reply["Body"].iter_chunks(_CHUNK):
                    file.write(chunk)
        # Hadoop would check the new bytes against the old file's checksums.
        _checksum_file(path).unlink(missing_ok=True)
        part.replace(path)
        manifest.files[key] = _transferred(path, etag)

    def _copied(self, key: str, etag: str, part: Path) -> bool:
        """Whether the store had the object, whole and in this version, and ``part`` now holds it."""
        if self._store is None:
            return False
        try:
            shutil.copyfile(self._store / key, part)
        except OSError:
            return False
        return _md5(part) == etag

    def _upload(self, key: str, manifest: _Manifest) -> None:
        path = self.root / key
        with path.open("rb") as file:
            # Taken before the transfer: a file that changes meanwhile is dirty, and pushed again.
            status = os.fstat(file.fileno())
            reply = self._s3.put_object(Bucket=self.bucket, Key=key, Body=file)
        manifest.files[key] = Transferred(reply["ETag"].strip('"'), status.st_size, status.st_mtime_ns)

    def _adopt(self, key: str, remote: RemoteObject, manifest: _Manifest) -> bool:
        """Whether the file holds what S3 holds; then it is recorded as transferred."""
        path = self.root / key
        if path.stat().st_size != remote.size:
            return False
        if _md5(path) != remote.etag:
            return False
        manifest.files[key] = _transferred(path, remote.etag)
        return True

    def _remove(self, key: str) -> None:
        path = self.root / key
        path.unlink(missing_ok=True)
        _checksum_file(path).unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:
                return  # not empty

    @contextmanager
    def _manifest(self) -> Iterator[_Manifest]:
        """The record; written back in any case, so that an error midway loses nothing done."""
        manifest = self._read()
        try:
            yield manifest
        finally:
            part = self._record.with_suffix(".json.part")
            part.parent.mkdir(parents=True, exist_ok=True)
            files = {key: asdict(each) for key, each in manifest.files.items()}
            part.write_bytes(orjson.dumps({"bucket_created": manifest.bucket_created, "files": files}))
            part.replace(self._record)

    def _read(self) -> _Manifest:
        try:
            held = orjson.loads(self._record.read_bytes())
            files = {key: Transferred(**each) for key, each in held["files"].items()}
            return _Manifest(held["bucket_created"], files)
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
            # None, or none that this version wrote: every file is then compared by content.
            return _Manifest()


def is_file_key(key: str) -> bool:
    """Whether a key can be a file of its own name under the mirror."""
    parts = key.split("/")
    return all(part not in ("", ".", "..") and len(part.encode()) <= _MAX_NAME_BYTES for part in parts)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _checksum_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.crc")


def _transferred(path: Path, etag: str) -> Transferred:
    status = path.stat()
    return Transferred(etag, status.st_size, status.st_mtime_ns)
