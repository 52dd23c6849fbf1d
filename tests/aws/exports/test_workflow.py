"""Every way through the export state machine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.glue.exceptions import ConcurrentRunsExceededException
from moto.glue.models import GlueBackend
from moto.s3.models import s3_backends

from lambdas.start_export import handler as start_export
from local.errors import LocalError
from local.export import await_export
from tests.aws.exports.conftest import EXPORTS, STATE, World, client, objects, receive, states_entered, until


def patients(*ids: str) -> list[dict[str, Any]]:
    return [{"resourceType": "Patient", "id": id_} for id_ in ids]


def own_lock(owner: str, **more: str) -> None:
    item = {"id": {"S": "RUN"}, "ownerArn": {"S": owner}, "lastRunTime": {"S": ""}}
    client("dynamodb").put_item(
        TableName=STATE, Item={**item, **{name: {"S": value} for name, value in more.items()}}
    )


def test_a_run_lands_everything_and_moves_the_watermark(world: World) -> None:
    world.lake.put_all([*patients("a", "b", "c"), {"resourceType": "Encounter", "id": "e"}])
    ended = world.run()
    assert ended["status"] == "SUCCEEDED", ended
    output = json.loads(ended["output"])
    assert output["outcome"] == "landed"
    assert output["files"] == 3
    assert output["watermarkMoved"] is True
    assert world.landed_ids() == ["a", "b", "c", "e"]
    exported = {body for key, body in objects("exports").items() if key.endswith(".ndjson")}
    landed = {body for key, body in objects("landing").items() if key.endswith(".ndjson")}
    assert exported == landed  # byte for byte
    (manifest,) = world.manifests()
    assert {file["key"]: file["size"] for file in manifest["files"]} == {
        key: len(body) for key, body in objects("landing").items() if key.endswith(".ndjson")
    }
    run = world.record()
    assert "ownerArn" not in run
    assert "leaseUntil" not in run
    assert run["runStatus"] == "COMPLETED"
    assert run["lastRunTime"] == world.record("CURRENT_RUN")["triggerTime"]
    assert world.workflow_runs() == [output["jobId"]] == [run["exportJobId"]]
    assert [outcome["outcome"] for outcome in world.outcomes()] == ["landed"]


def test_the_second_run_exports_only_what_changed(world: World) -> None:
    world.lake.put_all(patients("a", "b"))
    world.run()
    world.lake.put_all(patients("b", "c"))
    world.run()
    assert world.landed_ids() == ["a", "b", "b", "c"]
    first, second = world.manifests()
    assert first["since"] is None
    assert second["since"] is not None
    assert second["since"] < second["submitted_at"]


def test_full_mode_exports_everything_again(world: World) -> None:
    world.lake.put_all(patients("a"))
    world.run()
    world.run({"mode": "full"})
    assert [manifest["mode"] for manifest in world.manifests()] == ["incremental", "full"]
    assert world.landed_ids() == ["a", "a"]


def test_an_export_of_nothing_succeeds(world: World) -> None:
    assert world.run()["status"] == "SUCCEEDED"
    assert [manifest["files"] for manifest in world.manifests()] == [[]]


@pytest.mark.parametrize("options", [{"types": ["Patient"]}, {"since": "2020-01-01T00:00:00Z"}])
def test_a_narrowed_run_leaves_the_watermark(world: World, options: dict[str, Any]) -> None:
    world.lake.put_all([*patients("a"), {"resourceType": "Encounter", "id": "e"}])
    ended = world.run(options)
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["watermarkMoved"] is False
    assert world.record()["lastRunTime"] == ""
    assert "ownerArn" not in world.record()


def test_a_second_run_is_skipped_while_the_first_runs(world: World) -> None:
    first = world.start()
    until(lambda: "ownerArn" in world.record())
    second = world.start()
    until(
        lambda: world.described(second)["status"] != "RUNNING"
    )  # and nobody answers the queues for the first
    skipped = world.described(second)
    assert skipped["status"] == "SUCCEEDED"
    assert json.loads(skipped["output"]) == {"outcome": "skipped"}
    assert world.record()["ownerArn"] == first
    assert json.loads(world.finish(first)["output"])["outcome"] == "landed"
    assert world.lake.most_exports_at_once() == 1


def test_the_lock_of_an_aborted_execution_is_taken_over(world: World) -> None:
    healthy, definition = world.machine, json.loads(world.definition)
    # moto stops a state that waits for time; one that waits for a task's end it leaves as it is, or fails.
    definition["States"]["AwaitExport"] = {"Type": "Wait", "Seconds": 10, "Next": "KeepLock"}
    world.deploy(json.dumps(definition))
    dead = world.start()
    until(lambda: "AwaitExport" in states_entered(dead))
    client("stepfunctions").stop_execution(executionArn=dead)
    until(lambda: world.described(dead)["status"] != "RUNNING")
    assert world.described(dead)["status"] == "ABORTED"
    assert world.record()["ownerArn"] == dead
    world.machine = healthy
    world.lake.put_all(patients("a"))
    ended = world.run()
    assert json.loads(ended["output"])["outcome"] == "landed"
    assert "ownerArn" not in world.record()


def test_the_lock_of_an_unknown_execution_is_taken_over(world: World) -> None:
    own_lock("arn:aws:states:us-east-1:123456789012:execution:export:gone")
    assert json.loads(world.run()["output"])["outcome"] == "landed"


def test_a_lease_that_passed_is_taken_over_though_its_owner_runs(world: World) -> None:
    owner = world.start()
    until(lambda: "ownerArn" in world.record())
    own_lock(owner, leaseUntil="2020-01-01T00:00:00.000Z")
    second = world.start()
    until(lambda: world.record()["ownerArn"] == second)
    assert json.loads(world.finish(second)["output"])["outcome"] == "landed"
    first = world.finish(owner)
    assert first["status"] == "FAILED"  # it has lost the lock, so it may not move the watermark
    assert world.record()["lastRunTime"] == world.record("CURRENT_RUN")["triggerTime"]
    assert world.record("CURRENT_RUN")["executionArn"] == second


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"fail_exports": 1}, "ExportFailed"), ({"throttle": 1000}, "HealthLake.ThrottlingException")],
)
def test_a_failed_export_leaves_the_watermark_and_frees_the_lock(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: dict[str, int], error: str
) -> None:
    monkeypatch.setattr(start_export, "MAX_ATTEMPTS", 2)
    world.lake.put_all(patients("a"))
    world.run()
    before = world.record()["lastRunTime"]
    world.lake.put_all(patients("b"))
    world.lake.plan_faults(**fault)
    failed = world.run()
    assert failed["status"] == "FAILED"
    assert failed["cause"].startswith(f"{error}: ")
    run = world.record()
    assert (run["runStatus"], run["failure"], run["lastRunTime"]) == ("FAILED", error, before)
    assert "ownerArn" not in run
    assert world.outcomes()[-1]["error"] == error
    world.lake.reset_faults()
    assert world.run()["status"] == "SUCCEEDED"
    assert world.landed_ids() == ["a", "b"]  # nothing fell in a gap


def test_errors_in_an_export_land_what_there_is_and_keep_the_watermark(world: World) -> None:
    world.lake.put_all([*patients("a"), {"resourceType": "Encounter", "id": "e"}])
    world.lake.plan_faults(incomplete_exports=1)
    ended = world.run()
    assert ended["status"] == "SUCCEEDED", ended
    output = json.loads(ended["output"])
    assert (output["jobStatus"], output["errors"]) == ("COMPLETED_WITH_ERRORS", 1)
    assert world.landed_ids() == ["e"]
    assert world.record()["lastRunTime"] == ""
    (manifest,) = world.manifests()
    assert manifest["errors"][0]["size"] > 0
    world.lake.plan_faults(incomplete_exports=1)
    world.run({"acceptErrors": True})
    assert world.record()["lastRunTime"] != ""


def test_a_file_that_cannot_land_fails_the_run(world: World) -> None:
    world.lake.put_all(patients("a"))
    definition = json.loads(world.definition)
    _no_waits(definition)
    world.deploy(json.dumps(definition))
    world.fail_landing = 1000
    failed = world.run()
    assert failed["status"] == "FAILED"
    # moto tolerates every failure of a Map, so it is the commit that finds the file missing.
    assert failed["cause"].startswith("IncompleteExportError")
    assert world.manifests() == []
    assert world.record()["lastRunTime"] == ""
    world.fail_landing = 0
    assert world.run()["status"] == "SUCCEEDED"
    assert world.landed_ids() == ["a"]


def test_a_file_that_fails_once_is_landed_by_the_repetition(world: World) -> None:
    world.lake.put_all(patients("a", "b", "c"))
    definition = json.loads(world.definition)
    _no_waits(definition)
    world.deploy(json.dumps(definition))
    world.fail_landing = 1
    assert world.run()["status"] == "SUCCEEDED"
    assert world.landed_ids() == ["a", "b", "c"]


def test_no_heartbeat_fails_the_run(world: World) -> None:
    definition = json.loads(world.definition)
    definition["States"]["AwaitExport"]["HeartbeatSeconds"] = 1
    world.deploy(json.dumps(definition))
    execution = world.start()
    until(lambda: world.described(execution)["status"] != "RUNNING")  # and nobody answers the queues
    ended = world.described(execution)
    assert ended["status"] == "FAILED"
    # moto's name for it; the task's own timeout is 12 hours, so it can only have been the heartbeat.
    assert ended["cause"].startswith("States.Timeout")
    assert "ownerArn" not in world.record()


def test_heartbeats_keep_a_long_export_alive(world: World) -> None:
    definition = json.loads(world.definition)
    definition["States"]["AwaitExport"]["HeartbeatSeconds"] = 3
    world.deploy(json.dumps(definition))
    world.lake.plan_faults(export_seconds=4.5)
    assert world.run()["status"] == "SUCCEEDED"


def test_the_event_ends_the_wait_though_every_poll_is_lost(world: World) -> None:
    world.lake.put_all(patients("a"))
    execution = world.start()

    def exported() -> bool:
        for body in receive(world.start_queue):
            start_export.handler({"Records": [{"body": body}]}, None)
        return bool(world.events) and world.events[-1]["detail-type"] == "Export Job Completed"

    until(exported)
    assert world.described(execution)["status"] == "RUNNING"
    assert receive(world.poll_queue)  # taken from the queue, and lost
    world.deliver_events()
    assert json.loads(world.finish(execution)["output"])["outcome"] == "landed"


def test_what_is_read_while_it_is_written_again_is_read_whole(world: World) -> None:
    client("s3").put_object(Bucket=EXPORTS, Key="files.json", Body=b"[1]")
    reading = s3_backends["123456789012"]["aws"].get_object(EXPORTS, "files.json")
    client("s3").put_object(Bucket=EXPORTS, Key="files.json", Body=b"[2]")
    assert reading.value == b"[1]"
    assert objects(EXPORTS) == {"files.json": b"[2]"}


def test_a_busy_glue_workflow_is_no_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.lake.put_all(patients("a"))

    def refuse(*_: object) -> None:
        raise ConcurrentRunsExceededException("one at a time")  # which moto does not enforce

    monkeypatch.setattr(GlueBackend, "start_workflow_run", refuse)
    ended = world.run()
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["workflowRunId"] == "busy"


def test_a_missing_glue_workflow_fails_loudly_after_the_data_landed(world: World) -> None:
    world.lake.put_all(patients("a"))
    client("glue").delete_workflow(Name="watershed")
    failed = world.run()
    assert failed["status"] == "FAILED"
    assert failed["cause"].startswith("Glue.EntityNotFoundException")
    assert world.landed_ids() == ["a"]
    assert "ownerArn" not in world.record()


@pytest.mark.parametrize(
    "options",
    [{"mode": "partial"}, {"since": "yesterday"}, {"types": ["no/type"]}, {"mode": "full", "since": "x"}],
)
def test_a_wrong_option_fails_with_its_name(world: World, options: dict[str, Any]) -> None:
    failed = world.run(options)
    assert failed["status"] == "FAILED"
    assert failed["cause"].startswith("InvalidRequest")
    assert world.lake.exports() == []
    with pytest.raises(LocalError) as told:
        await_export(client("stepfunctions"), failed["executionArn"], lambda _: None)
    assert "watershed export --help" in told.value.remedy  # to repeat it would fail again


def _no_waits(node: Any) -> None:
    """Retries at once: the waits are AWS's to keep."""
    if isinstance(node, dict):
        if "IntervalSeconds" in node:
            node.update(IntervalSeconds=1, MaxAttempts=1)
            node.pop("JitterStrategy", None)
        for value in node.values():
            _no_waits(value)
    elif isinstance(node, list):
        for value in node:
            _no_waits(value)
