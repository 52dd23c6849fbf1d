"""What a sync decides, over listings alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.glue.mirror_plan import LocalFile, RemoteObject, Transferred, plan_pull, plan_push

LAKE = "lake/a"
OTHER = "landing/a"


def pushes(key: str) -> bool:
    return key.startswith("lake/")


REMOTE = RemoteObject("e1", 3)
FILE = LocalFile(3, 100)
KNOWN = Transferred("e1", 3, 100)


def test_pull_fetches_what_is_new_or_changed_in_s3() -> None:
    changed = {OTHER: RemoteObject("e2", 3)}
    assert plan_pull({OTHER: REMOTE}, {}, {}, pushes).download == (OTHER,)
    assert plan_pull(changed, {OTHER: FILE}, {OTHER: KNOWN}, pushes).download == (OTHER,)
    assert plan_pull({OTHER: REMOTE}, {OTHER: FILE}, {OTHER: KNOWN}, pushes) == plan_pull({}, {}, {}, pushes)


def test_pull_deletes_what_s3_no_longer_has() -> None:
    assert plan_pull({}, {OTHER: FILE}, {OTHER: KNOWN}, pushes).delete == (OTHER,)


def test_pull_leaves_alone_what_a_job_wrote_and_nobody_pushed() -> None:
    written = LocalFile(9, 200)
    plan = plan_pull({LAKE: RemoteObject("e2", 3)}, {LAKE: written}, {LAKE: KNOWN}, pushes)
    assert plan.download == ()
    assert plan_pull({}, {LAKE: written}, {LAKE: KNOWN}, pushes).delete == ()
    assert plan_push({LAKE: written}, {LAKE: KNOWN}, pushes).upload == ((LAKE,),)


def test_pull_undoes_what_a_job_wrote_where_jobs_do_not_write() -> None:
    assert plan_pull({OTHER: REMOTE}, {OTHER: LocalFile(9, 200)}, {OTHER: KNOWN}, pushes).download == (OTHER,)


def test_a_file_without_record_is_compared_and_not_trusted() -> None:
    plan = plan_pull({LAKE: REMOTE}, {LAKE: FILE}, {}, pushes)
    assert (plan.download, plan.compare) == ((), (LAKE,))


def test_a_deletion_that_was_not_pushed_is_not_undone_by_a_pull() -> None:
    assert plan_pull({LAKE: REMOTE}, {}, {LAKE: KNOWN}, pushes).download == ()
    assert plan_push({}, {LAKE: KNOWN}, pushes).delete == ((LAKE,),)


def test_a_deletion_in_the_mirror_where_jobs_do_not_write_is_undone() -> None:
    assert plan_pull({OTHER: REMOTE}, {}, {OTHER: KNOWN}, pushes).download == (OTHER,)
    assert plan_push({}, {OTHER: KNOWN}, pushes).delete == ()


TABLE = "lake/db/t"
ORDER = [
    f"{TABLE}/data/00000-0.parquet",
    f"{TABLE}/metadata/snap-1.avro",
    f"{TABLE}/metadata/v2.metadata.json",
    f"{TABLE}/metadata/version-hint.text",
]


def test_metadata_is_pushed_after_what_it_names_and_deleted_before() -> None:
    local = dict.fromkeys(reversed(ORDER), FILE)
    assert [key for wave in plan_push(local, {}, pushes).upload for key in wave] == ORDER
    known = dict.fromkeys(ORDER, KNOWN)
    assert [key for wave in plan_push({}, known, pushes).delete for key in wave] == list(reversed(ORDER))


keys = st.sampled_from(["lake/a", "lake/b", "landing/a", "landing/b"])
etags = st.sampled_from(["e1", "e2"])
remotes = st.dictionaries(keys, st.builds(RemoteObject, etags, st.just(3)))
locals_ = st.dictionaries(keys, st.builds(LocalFile, st.just(3), st.sampled_from([100, 200])))
records = st.dictionaries(keys, st.builds(Transferred, etags, st.just(3), st.sampled_from([100, 200])))


@given(remotes, locals_, records)
def test_pull_never_touches_what_is_dirty_and_pushed(
    remote: dict[str, RemoteObject], local: dict[str, LocalFile], known: dict[str, Transferred]
) -> None:
    plan = plan_pull(remote, local, known, pushes)
    dirty = {key for key in local if pushes(key) and key in known and not known[key].is_now(local[key])}
    assert dirty.isdisjoint({*plan.download, *plan.delete})


@given(remotes, locals_, records)
def test_after_a_pull_the_landing_side_is_what_s3_holds(
    remote: dict[str, RemoteObject], local: dict[str, LocalFile], known: dict[str, Transferred]
) -> None:
    plan = plan_pull(remote, local, known, pushes)
    for key in ("landing/a", "landing/b"):
        if key not in remote:
            assert key in plan.delete or key not in local or key not in known
        elif key not in local:
            assert key in plan.download
        elif not (key in known and known[key].is_now(local[key]) and known[key].etag == remote[key].etag):
            assert key in plan.download or key in plan.compare
