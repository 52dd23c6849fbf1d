"""The sync itself: files and objects, interrupted and repeated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.glue.errors import MirrorError
from local.glue.mirror import Mirror, is_file_key
from tests.unit.local_glue.conftest import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def mirror_of(s3: S3Client, folder: Path, prefix: str = "") -> Mirror:
    return Mirror(s3, folder, BUCKET, lambda key: key.startswith(prefix))


def put(s3: S3Client, key: str, content: str) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=content.encode())


def objects(s3: S3Client) -> dict[str, str]:
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {
        each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read().decode() for each in listed
    }


def files(folder: Path) -> dict[str, str]:
    root = folder / BUCKET
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def write(folder: Path, key: str, content: str) -> Path:
    path = folder / BUCKET / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_pull_moves_only_what_changed(s3: S3Client, tmp_path: Path) -> None:
    mirror = mirror_of(s3, tmp_path)
    put(s3, "a=%2F/one", "1")
    put(s3, "two", "2")
    assert mirror.pull().files == 2
    assert mirror.pull().files == 0
    put(s3, "two", "22")
    s3.delete_object(Bucket=BUCKET, Key="a=%2F/one")
    moved = mirror.pull()
    assert (moved.files, moved.deleted) == (1, 1)
    assert files(tmp_path) == {"two": "22"}
    assert not (tmp_path / BUCKET / "a=%2F").exists()


def test_the_store_is_used_for_what_it_proves_to_hold(s3: S3Client, tmp_path: Path) -> None:
    for key in ("same", "stale", "elsewhere", "folder/below"):
        put(s3, key, f"content of {key}")
    store = tmp_path / "store"
    (store / "folder" / "below").mkdir(parents=True)
    (store / "same").write_text("content of same")
    (store / "stale").write_text("what it was before")
    fetched: list[str] = []
    s3.meta.events.register(
        "before-parameter-build.s3.GetObject", lambda params, **_: fetched.append(params["Key"])
    )
    mirror = Mirror(s3, tmp_path, BUCKET, lambda _key: False, store)
    assert mirror.pull().files == 4
    assert sorted(fetched) == ["elsewhere", "folder/below", "stale"]
    assert files(tmp_path) == {key: f"content of {key}" for key in ("same", *fetched)}
    assert mirror.pull().files == 0


def test_a_pulled_file_loses_the_checksum_of_the_one_before(s3: S3Client, tmp_path: Path) -> None:
    mirror = mirror_of(s3, tmp_path, prefix="none")
    put(s3, "t/version-hint.text", "1")
    mirror.pull()
    write(tmp_path, "t/.version-hint.text.crc", "checksum of 1")
    put(s3, "t/version-hint.text", "2")
    mirror.pull()
    assert files(tmp_path) == {"t/version-hint.text": "2"}


def test_push_uploads_and_deletes_what_jobs_did_and_no_more(s3: S3Client, tmp_path: Path) -> None:
    mirror = mirror_of(s3, tmp_path, prefix="quarantine/")
    put(s3, "items/a", "a")
    put(s3, "quarantine/old", "old")
    mirror.pull()
    write(tmp_path, "quarantine/new", "new")
    write(tmp_path, "quarantine/.new.crc", "checksum")
    write(tmp_path, "quarantine/_temporary/0/part", "half")
    write(tmp_path, "items/stray", "stray")
    (tmp_path / BUCKET / "quarantine/old").unlink()
    assert mirror.push_new().files == 1
    assert objects(s3) == {"items/a": "a", "quarantine/old": "old", "quarantine/new": "new"}
    assert mirror.push_deletions().deleted == 1
    assert objects(s3) == {"items/a": "a", "quarantine/new": "new"}
    assert (mirror.push_new().files, mirror.push_deletions().deleted) == (0, 0)


def test_what_a_job_rewrote_is_pushed_and_a_pull_before_does_not_undo_it(
    s3: S3Client, tmp_path: Path
) -> None:
    mirror = mirror_of(s3, tmp_path)
    put(s3, "hint", "1")
    mirror.pull()
    path = write(tmp_path, "hint", "2")
    os.utime(path, ns=(1, 1))
    mirror.pull()
    mirror.push_new()
    assert objects(s3) == {"hint": "2"}


def test_a_push_that_dies_is_completed_by_the_next(
    s3: S3Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = mirror_of(s3, tmp_path)
    mirror.pull()
    write(tmp_path, "t/data/0.parquet", "rows")
    write(tmp_path, "t/metadata/v1.metadata.json", "names 0.parquet")
    write(tmp_path, "t/metadata/version-hint.text", "1")
    put_object = s3.put_object

    def dies_at_metadata(**request: Any) -> Any:
        if request["Key"].endswith(".json"):
            raise ConnectionError("the emulator went away")
        return put_object(**request)

    monkeypatch.setattr(s3, "put_object", dies_at_metadata)
    with pytest.raises(ConnectionError):
        mirror.push_new()
    assert list(objects(s3)) == ["t/data/0.parquet"]
    monkeypatch.setattr(s3, "put_object", put_object)
    # Another process goes on, after the pull with which every run begins.
    again = mirror_of(s3, tmp_path)
    assert again.pull().files == 0
    assert again.push_new().files == 2
    assert objects(s3) == files(tmp_path)


def test_a_lost_record_costs_a_comparison_and_no_file(s3: S3Client, tmp_path: Path) -> None:
    put(s3, "same", "same")
    put(s3, "items/differs", "theirs")
    mirror_of(s3, tmp_path, prefix="lake/").pull()
    (tmp_path / f"{BUCKET}.json").write_text("{ torn")
    write(tmp_path, "items/differs", "broken")
    write(tmp_path, "lake/unpushed", "ours")
    mirror = mirror_of(s3, tmp_path, prefix="lake/")
    assert mirror.pull().files == 1
    mirror.push_new()
    assert files(tmp_path) == {"same": "same", "items/differs": "theirs", "lake/unpushed": "ours"}
    assert objects(s3) == files(tmp_path)


def test_a_bucket_made_anew_starts_with_an_empty_mirror(s3: S3Client, tmp_path: Path) -> None:
    mirror = mirror_of(s3, tmp_path)
    put(s3, "old", "old")
    mirror.pull()
    write(tmp_path, "unpushed", "of the old bucket")
    record = tmp_path / f"{BUCKET}.json"
    record.write_text(record.read_text().replace('"bucket_created":"', '"bucket_created":"before '))
    s3.delete_object(Bucket=BUCKET, Key="old")
    put(s3, "new", "new")
    mirror.pull()
    assert files(tmp_path) == {"new": "new"}


def test_a_removed_mirror_removes_nothing_in_s3(s3: S3Client, tmp_path: Path) -> None:
    import shutil

    mirror = mirror_of(s3, tmp_path)
    put(s3, "a", "a")
    mirror.pull()
    shutil.rmtree(tmp_path / BUCKET)
    mirror.pull()
    mirror.push_deletions()
    assert objects(s3) == files(tmp_path) == {"a": "a"}


def test_keys_that_can_be_no_file_are_named_and_left(s3: S3Client, tmp_path: Path) -> None:
    put(s3, "a//b", "x")
    put(s3, "fine", "y")
    assert mirror_of(s3, tmp_path).pull().skipped == ("a//b",)
    assert files(tmp_path) == {"fine": "y"}


@pytest.mark.parametrize("key", ["../x", "a/./b", "/a", "a/", "a/" + "x" * 250])
def test_a_key_cannot_leave_the_mirror(key: str) -> None:
    assert not is_file_key(key)


def test_a_missing_bucket_is_named_with_the_remedy(s3: S3Client, tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match=r"no-such-bucket does not exist.*watershed deploy"):
        Mirror(s3, tmp_path, "no-such-bucket", lambda key: True).pull()
