"""Random timelines of the source and of everything that can go wrong: in the end the lake is the source.

The conformed table is a plain-Python model here; that ``conform_fhir`` keeps to it is tested with Spark.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.exports.asl_model import Execution
from tests.unit.exports.timeline import Timeline

TYPES, IDS = ("Patient", "Observation"), ("a", "b", "c")
FAULTS = (
    *("throttle", "server_errors", "lost_replies", "fail_exports"),
    *("incomplete_exports", "silent_exports"),
)
QUEUES = ("start_queue", "poll_queue", "events")

puts = st.tuples(st.just("put"), st.sampled_from(TYPES), st.sampled_from(IDS))
runs = st.tuples(st.just("run"), st.sampled_from(["incremental", "incremental", "full"]))
actions = st.one_of(
    *(puts, puts, puts, runs, runs),
    st.tuples(st.just("delete"), st.sampled_from(TYPES), st.sampled_from(IDS)),
    st.tuples(st.just("crash"), st.integers(1, 40)),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS)),
    st.tuples(st.sampled_from(["lose", "repeat", "reorder"]), st.sampled_from(QUEUES)),
    st.tuples(st.just("wait"), st.sampled_from([1, 60, 1_000, 4_000, 50_000])),
    st.tuples(st.just("abort")),
)
Moment = tuple[tuple[object, ...], int]
"""What happens, and how many steps the world takes after it."""
moments = st.lists(st.tuples(actions, st.integers(0, 9)), max_size=30)


@contextmanager
def timeline() -> Iterator[Timeline]:
    world = Timeline()
    with (
        patch("local.healthlake.store.now_ms", world.now_ms),
        patch("local.healthlake.exports.now_ms", world.now_ms),
    ):
        yield world


def act(world: Timeline, action: tuple[object, ...]) -> None:
    match action:
        case ("put", str(type_), str(id_)):
            world.store.update(type_, id_, {"resourceType": type_, "id": id_})
        case ("delete", str(type_), str(id_)):
            world.store.delete(type_, id_)
        case ("run", str(mode)):
            world.run(mode)
        case ("crash", int(calls)):
            world.crash_in = calls
        case ("fault", str(name)):
            world.faults.plan({name: 1})
        case ("wait", int(seconds)):
            world.milliseconds += seconds * 1000
        case ("abort",):
            abort(world)
        case (str(what), str(queue)):
            disturb(world, what, queue)
    world.milliseconds += 10


def abort(world: Timeline) -> None:
    """Stop the newest execution that runs, as a person may, wherever it is."""
    for execution in reversed(world.executions):
        if execution.status == "RUNNING":
            execution.status, execution.waiting = "ABORTED", None
            return


def disturb(world: Timeline, what: str, queue: str) -> None:
    messages: list[object] = world.events if queue == "events" else getattr(world, queue).messages  # type: ignore[assignment]
    if what == "reorder":
        messages.reverse()
    elif messages and what == "lose":
        messages.pop(0)
    elif messages:
        first = messages[0]
        messages.append(dict(first) if isinstance(first, dict) else type(first)(first.body, world.now()))  # type: ignore[call-arg, attr-defined]


def conformed(world: Timeline) -> dict[tuple[str, str], str | None]:
    """What the landed exports mean: the version of each resource, None where it is deleted."""
    held: dict[tuple[str, str], tuple[str, str | None]] = {}
    for export in sorted(world.landed(), key=lambda each: (each["submitted_at"], each["job_id"])):
        present = set()
        for file in export["files"]:
            for resource in world.lines(file["key"]):
                key = (resource["resourceType"], resource["id"])
                present.add(key)
                stamp, version = resource["meta"]["lastUpdated"], resource["meta"]["versionId"]
                held[key] = max(held.get(key, ("", None)), (stamp, version), key=lambda each: each[0])
        if export["mode"] == "full" and export["status"] == "COMPLETED":
            for key, (stamp, version) in list(held.items()):
                if key not in present and version is not None and stamp < export["submitted_at"]:
                    held[key] = (export["submitted_at"], None)
    return {key: version for key, (_, version) in held.items()}


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


@settings(max_examples=100)
@given(moments)
# The reply to $export is lost: the job is found again.
@example([(("fault", "lost_replies"), 0), (("run", "incremental"), 30)])
# The owner's lease passes in the middle, and another takes over.
@example([(("run", "incremental"), 9), (("wait", 4_000), 0), (("run", "full"), 30)])
def test_whatever_happens_the_lake_becomes_the_source_and_nothing_stays_locked(
    happens: list[Moment],
) -> None:
    with timeline() as world:
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
