"""Random timelines of the source and of everything that can go wrong: in the end the lake is the source.

The conformed table is a plain-Python model here; ``tests/spark/test_fhir_timelines.py`` has the real one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lambdas.shared.export_state import iso
from tests.conftest import examples
from tests.unit.exports.asl_model import Execution
from tests.unit.exports.aws_model import Message
from tests.unit.exports.timeline import Timeline
from tests.unit.exports.timeline_feeds import FEEDS, NONE

TYPES, IDS = ("Patient", "Observation"), ("a", "b", "c")
FAULTS = (
    *("throttle", "server_errors", "lost_replies", "fail_exports"),
    *("incomplete_exports", "silent_exports"),
)
QUEUES = ("start_queue", "poll_queue", "events", "notices", "calls")

puts = st.tuples(st.just("put"), st.sampled_from(TYPES), st.sampled_from(IDS))
runs = st.tuples(st.just("run"), st.sampled_from(["incremental", "incremental", "full"]))
by_hand = st.one_of(
    st.tuples(st.just("narrow"), st.sampled_from(["incremental", "full"]), st.sampled_from(TYPES)),
    st.tuples(st.just("since"), st.sampled_from([0, 100, 10_000])),
    st.tuples(st.just("redrive"), st.integers(0, 3)),
)
actions = st.one_of(
    *(puts, puts, puts, runs, runs, by_hand),
    st.tuples(st.sampled_from(["delete", "bundle"]), st.sampled_from(TYPES), st.sampled_from(IDS)),
    st.tuples(st.just("crash"), st.integers(1, 40)),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS)),
    st.tuples(st.sampled_from(["lose", "repeat", "reorder"]), st.sampled_from(QUEUES)),
    st.tuples(st.just("wait"), st.sampled_from([1, 60, 1_000, 4_000, 50_000])),
    st.tuples(st.just("lag"), st.sampled_from([0, 30])),
    st.tuples(st.just("abort")),
)
Moment = tuple[tuple[object, ...], int]
"""What happens, and how many steps the world takes after it."""
moments = st.lists(st.tuples(actions, st.integers(0, 9)), max_size=30)


@contextmanager
def timeline(feed: str = NONE) -> Iterator[Timeline]:
    world = Timeline(feed)
    with ExitStack() as clocks:
        for module in ("store", "exports", "api", "notices"):
            clocks.enter_context(patch(f"local.healthlake.{module}.now_ms", world.now_ms))
        yield world


def act(world: Timeline, action: tuple[object, ...]) -> None:
    match action:
        case ("put", str(type_), str(id_)):
            world.store.update(type_, id_, {"resourceType": type_, "id": id_})
            world.feeds.called("PUT", type_)
        case ("bundle", str(type_), str(id_)):  # no call of which CloudTrail tells
            world.store.update(type_, id_, {"resourceType": type_, "id": id_})
        case ("delete", str(type_), str(id_)):
            world.store.delete(type_, id_)
            world.feeds.called("DELETE", type_)
        case ("run", str(mode)):
            world.run(mode)
        case ("narrow" | "since" | "redrive", *_):
            run_by_hand(world, action)
        case ("crash", int(calls)):
            world.crash_in = calls
        case ("fault", str(name)):
            world.faults.plan({name: 1})
        case ("wait", int(seconds)):
            world.milliseconds += seconds * 1000
        case ("lag", int(seconds)):
            world.faults.plan({"search_lag_seconds": seconds})
        case ("abort",):
            abort(world)
        case (str(what), str(queue)):
            disturb(world, what, queue)
    world.milliseconds += 10


def run_by_hand(world: Timeline, action: tuple[object, ...]) -> None:
    """Begin a run that was told to leave something out, or to land what another exported."""
    match action:
        case ("narrow", str(mode), str(type_)):
            world.run(mode, types=[type_])
        case ("since", int(seconds)):
            world.run(since=iso(world.moment() - timedelta(seconds=seconds)))
        case ("redrive", int(newest)):
            jobs = world.exports.jobs()
            if newest < len(jobs):
                world.run(redrive=jobs[newest].id)


def abort(world: Timeline) -> None:
    """Stop the newest execution that runs, as a person may, wherever it is."""
    for execution in reversed(world.executions):
        if execution.status == "RUNNING":
            execution.status, execution.waiting = "ABORTED", None
            return


def disturb(world: Timeline, what: str, queue: str) -> None:
    messages = world.disturbable(queue)
    if what == "reorder":
        messages.reverse()
    elif messages and what == "lose":
        messages.pop(0)
    elif messages:
        first = messages[0]
        messages.append(dict(first) if isinstance(first, dict) else Message(first.body, world.now()))


def conformed(world: Timeline) -> dict[tuple[str, str], str | None]:
    """What has landed means: the version of each resource, None where it is deleted."""
    live: dict[tuple[str, str], tuple[str, str]] = {}
    gone: dict[tuple[str, str], str] = {}
    lists: dict[str, tuple[str, str, set[str]]] = {}
    """By type the latest list of all that exists: when, of which export, the ids."""
    for export in world.landed():
        ids: dict[str, set[str]] = {name: set() for name in export["types"] or TYPES}
        for file in export["files"]:
            for resource in world.lines(file["key"]):
                ids.setdefault(resource["resourceType"], set()).add(resource["id"])
                if export.get("kind") != "listing":
                    _hold(live, resource)
        if export["mode"] == "full" and export["status"] == "COMPLETED":
            for name, present in ids.items():
                found = (export["submitted_at"], export["job_id"], present)
                lists[name] = max(lists.get(name, found), found, key=lambda each: each[:2])
    for resource in world.changes():
        if resource["resourceType"] != "Bundle":
            _hold(live, resource)
            continue
        name, _, id_ = resource["entry"][0]["request"]["url"].partition("/")
        gone[name, id_] = max(gone.get((name, id_), ""), resource["timestamp"])
    return {key: _version(key, live.get(key), gone.get(key, ""), lists) for key in live | gone}


def _hold(live: dict[tuple[str, str], tuple[str, str]], resource: dict[str, Any]) -> None:
    key = (resource["resourceType"], resource["id"])
    said = (resource["meta"]["lastUpdated"], resource["meta"]["versionId"])
    live[key] = max(live.get(key, said), said)


def _version(
    key: tuple[str, str],
    said: tuple[str, str] | None,
    gone: str,
    lists: Mapping[str, tuple[str, str, set[str]]],
) -> str | None:
    if said is None or said[0] < gone:
        return None
    listed = lists.get(key[0])
    if listed is not None and said[0] < listed[0] and key[1] not in listed[2]:
        return None
    return said[1]


def source(world: Timeline) -> dict[tuple[str, str], str]:
    """The version of each resource that exists."""
    versions = {}
    for type_ in TYPES:
        for id_ in IDS:
            history = world.store.history(type_, id_) if _known(world, type_, id_) else []
            if history and history[0].body is not None:
                versions[type_, id_] = str(history[0].version)
    return versions


def _known(world: Timeline, type_: str, id_: str) -> bool:
    row = world.store._open().execute("select 1 from current where type = ? and id = ?", (type_, id_))
    return row.fetchone() is not None


def check_locks(world: Timeline) -> None:
    run = world.table.items.get("RUN", {})
    owner = run.get("ownerArn", {}).get("S")
    states = {each.arn: each.status for each in world.executions}
    assert owner is None or states[owner] in ("ABORTED", "TIMED_OUT"), "a lock outlives the run that took it"


@settings(max_examples=examples(100))
@given(moments, st.sampled_from(FEEDS))
# The reply to $export is lost: the job is found again.
@example([(("fault", "lost_replies"), 0), (("run", "incremental"), 30)], NONE)
# The owner's lease passes in the middle, and another takes over.
@example([(("run", "incremental"), 9), (("wait", 4_000), 0), (("run", "full"), 30)], NONE)
def test_whatever_happens_the_lake_becomes_the_source_and_nothing_stays_locked(
    happens: list[Moment], feed: str
) -> None:
    with timeline(feed) as world:
        for action, steps in happens:
            act(world, action)
            for _ in range(steps):
                world.step()
        world.quiet()
        check_locks(world)

        incremental = world.finish("incremental")
        assert _outcome(incremental) == "landed"
        lake = {key: version for key, version in conformed(world).items() if key in source(world)}
        assert lake == source(world), "a change fell in a gap between exports"

        full = world.finish("full")
        assert _outcome(full) == "landed"
        assert {key: version for key, version in conformed(world).items() if version} == source(world)

        assert "ownerArn" not in world.table.items["RUN"]
        assert world.most_at_once <= 1
        for name in {job.request.job_name for job in world.exports.jobs()}:
            jobs = [job for job in world.exports.jobs() if job.request.job_name == name]
            good = [job for job in jobs if job.status in ("COMPLETED", "COMPLETED_WITH_ERRORS")]
            assert len(good) <= 1, "one execution exported twice"


@pytest.mark.parametrize("steps", range(30))
@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_a_change_at_any_step_of_a_run_is_in_its_export_or_in_the_next(mode: str, steps: int) -> None:
    with timeline() as world:
        act(world, ("put", "Patient", "a"))
        world.run(mode)
        for _ in range(steps):
            world.step()
        act(world, ("put", "Patient", "b"))
        world.quiet()
        assert _outcome(world.finish("incremental")) == "landed"
        assert conformed(world) == source(world)


def _outcome(execution: Execution) -> str:
    assert execution.status == "SUCCEEDED", execution.error
    return str(execution.value["outcome"])
