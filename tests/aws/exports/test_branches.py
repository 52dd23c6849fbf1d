"""The branches of the state machine that a run seldom takes: a lost lock, a redrive, events, silent topics."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.sns.models import SNSBackend

from lambdas.publish_resources.handler import file_events
from lambdas.publish_resources.handler import make_publisher as publisher
from lambdas.shared.resource_events import UnpublishedEventsError
from lambdas.start_export import handler as start_export
from tests.aws.exports.conftest import World, client, objects, receive, until
from tests.aws.exports.test_workflow import _no_waits, own_lock, patients


def deploy(world: World, **changes: Any) -> None:
    """The machine without waits, with states changed by name."""
    definition = json.loads(world.definition)
    _no_waits(definition)
    for name, more in changes.items():
        changed = {**definition["States"][name], **more}
        definition["States"][name] = {key: value for key, value in changed.items() if value is not None}
    world.deploy(json.dumps(definition))


def subscribe() -> str:
    """A queue of all that the bus of resources carries."""
    events = client("events")
    events.create_event_bus(Name="resources")
    events.put_rule(Name="all", EventBusName="resources", EventPattern='{"source": ["watershed.fhir"]}')
    queue = client("sqs").create_queue(QueueName="subscriber")["QueueUrl"]
    target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:subscriber"}
    events.put_targets(Rule="all", EventBusName="resources", Targets=[target])
    return str(queue)


def test_landing_frees_no_lock_however_long_it_takes(world: World) -> None:
    """Polls renew the lease; while files land nothing does, so there is none to pass."""
    world.lake.put_all(patients("a"))
    deploy(world, AnyFiles={"Type": "Wait", "Seconds": 3600, "Next": "CommitExport"})
    execution = world.start()

    def lands() -> bool:
        world.answer_queues()
        return "landingSince" in world.record()

    until(lands)
    run = world.record()
    assert run["ownerArn"] == execution
    assert "leaseUntil" not in run
    assert json.loads(world.run()["output"]) == {"outcome": "skipped"}
    client("stepfunctions").stop_execution(executionArn=execution)


def test_an_owner_that_lost_its_lock_stops_before_it_lands(world: World) -> None:
    world.lake.put_all(patients("a"))
    execution = world.start()
    until(lambda: "ownerArn" in world.record())
    own_lock("arn:aws:states:us-east-1:123456789012:execution:export:other")
    ended = world.finish(execution)
    assert (ended["status"], ended["cause"].partition(":")[0]) == ("FAILED", "LockLost")
    assert world.landed_ids() == []
    assert world.record()["ownerArn"].endswith(":other")  # which it must not free


def test_a_lock_that_goes_while_its_owner_is_looked_up_skips_the_run(world: World) -> None:
    own_lock("arn:aws:states:us-east-1:123456789012:execution:export:other")
    definition = json.loads(world.definition)
    # What FindOwner reads where the owner has let go in between.
    found = {
        "Type": "Pass",
        "Result": {"Item": {"id": {"S": "RUN"}}},
        "ResultPath": "$.lock",
        "Next": "IsOwned",
    }
    definition["States"]["FindOwner"] = found
    world.deploy(json.dumps(definition))
    assert json.loads(world.run()["output"]) == {"outcome": "skipped"}


def test_a_full_export_that_could_not_land_is_landed_by_a_redrive_without_another_export(
    world: World,
) -> None:
    world.lake.put_all(patients("a", "b", "c"))
    deploy(world)
    world.fail_landing = 1000
    failed = world.run({"mode": "full"})
    assert failed["status"] == "FAILED"
    began = world.record("CURRENT_RUN")["triggerTime"]
    (job,) = world.lake.exports()
    job_id = job["exportJobProperties"]["jobId"]
    # Who hears of the failure learns what to do, and of which job.
    assert f"Export job {job_id} is not lost: start a run with redrive" in failed["cause"]
    world.fail_landing = 0
    world.lake.put_all(patients("late"))
    ended = world.run({"redrive": job_id})
    assert ended["status"] == "SUCCEEDED", ended
    assert len(world.lake.exports()) == 1
    assert world.landed_ids() == ["a", "b", "c"]
    assert [(each["job_id"], each["mode"]) for each in world.manifests()] == [(job_id, "full")]
    # The watermark is that of the run that ordered the export: what came after it is still to be exported.
    assert world.record()["lastRunTime"] == began
    world.run()
    assert "late" in world.landed_ids()


@pytest.mark.parametrize(
    "options", [{"redrive": "0" * 32}, {"redrive": "../x"}, {"redrive": "0" * 32, "mode": "full"}]
)
def test_a_redrive_of_what_is_no_export_says_so(world: World, options: dict[str, Any]) -> None:
    failed = world.run(options)
    assert failed["cause"].startswith("InvalidRequest")
    assert "ownerArn" not in world.record()
    assert world.lake.exports() == []


def test_a_run_whose_outcome_cannot_be_published_still_frees_the_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise RuntimeError("no topic")

    deploy(world)
    monkeypatch.setattr(SNSBackend, "publish", refuse)
    assert world.run({"mode": "partial"})["cause"].startswith("InvalidRequest")
    assert "ownerArn" not in world.record()


def test_subscribers_hear_of_each_resource_where_that_is_switched_on(world: World) -> None:
    queue = subscribe()
    world.lake.put_all([*patients("a", "b", "c"), {"resourceType": "Encounter", "id": "e"}])
    world.run()
    assert receive(queue) == []  # off by default
    deploy(world, Options={"Parameters": _with_events(world)})
    world.lake.put_all(patients("b", "d"))
    ended = world.run()
    assert ended["status"] == "SUCCEEDED", ended
    heard = [json.loads(body) for body in receive(queue)]
    assert sorted(each["detail"]["id"] for each in heard) == ["b", "d"]
    assert {each["detail-type"] for each in heard} == {"Resource Changed"}
    (b,) = (each["detail"] for each in heard if each["detail"]["id"] == "b")
    assert (b["resourceType"], b["versionId"]) == ("Patient", "2")
    assert set(b) == {"resourceType", "id", "versionId", "lastUpdated", "exportId"}  # and no content
    world.run({"mode": "full"})
    assert receive(queue) == []  # a full export would announce what did not change


def _with_events(world: World) -> dict[str, Any]:
    return {**json.loads(world.definition)["States"]["Options"]["Parameters"], "resourceEvents": "true"}


def test_events_that_are_refused_are_sent_again_and_at_last_fail(world: World) -> None:
    body = b"".join(b'{"resourceType": "Patient", "id": "%d"}\n' % number for number in range(12))
    client("s3").put_object(Bucket="landing", Key="fhir/resource_type=Patient/x.ndjson", Body=body)
    sent: list[list[str]] = []

    class Refusing:
        """Refuses the first entry of every call, until it is told not to."""

        stubborn = True

        def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:
            sent.append([json.loads(entry["Detail"])["id"] for entry in Entries])
            refused = {"ErrorCode": "ThrottlingException"}
            first = refused if self.stubborn or len(sent) == 1 else {}
            return {"Entries": [first] + [{"EventId": "1"}] * (len(Entries) - 1)}

    refusing = Refusing()
    made = publisher()
    bus = made.events
    for name, value in (("events", refusing), ("pause", lambda _: None)):
        object.__setattr__(bus, name, value)
    with pytest.raises(UnpublishedEventsError, match="1 events"):
        made.publish("e", "fhir/resource_type=Patient/x.ndjson")
    sent.clear()
    refusing.stubborn = False
    assert made.publish("e", "fhir/resource_type=Patient/x.ndjson") == 12
    assert sent == [[str(n) for n in range(10)], ["0"], ["10", "11"]]


def test_deletions_are_told_and_errors_and_damaged_lines_are_not() -> None:
    bundle = b'{"resourceType":"Bundle","entry":[{"request":{"method":"DELETE","url":"Patient/a"}}]}'
    deleted = list(file_events("e", "fhir/_exports/e/deleted/x", [bundle, b"{"]))
    assert deleted == [("Resource Deleted", {"resourceType": "Patient", "id": "a", "exportId": "e"})]
    assert list(file_events("e", "fhir/_exports/e/error/x", [b'{"resourceType":"X","id":"1"}'])) == []
    assert list(file_events("e", "fhir/resource_type=X/x", [b"[]", b'{"id": "1"}', b"\xff", b""])) == []


def test_a_start_message_that_is_lost_ends_with_the_heartbeat_and_the_next_run_heals(world: World) -> None:
    world.lake.put_all(patients("a"))
    deploy(world, AwaitExport={"HeartbeatSeconds": 1})
    execution = world.start()
    until(lambda: receive(world.start_queue))  # taken from the queue, and lost
    ended = world.finish(execution)
    assert ended["status"] == "FAILED"
    deploy(world)
    assert world.run()["status"] == "SUCCEEDED"
    assert world.landed_ids() == ["a"]


def test_an_export_that_never_ends_meets_the_time_out_and_is_cancelled(world: World) -> None:
    world.lake.plan_faults(export_seconds=60)
    deploy(world, AwaitExport={"TimeoutSeconds": 6, "HeartbeatSeconds": 5})
    ended = world.run()
    assert ended["cause"].startswith("States.Timeout")
    world.answer_queues()
    (job,) = world.lake.exports()
    assert job["exportJobProperties"]["jobStatus"].startswith("CANCEL")
    assert "ownerArn" not in world.record()
    assert objects("landing") == {}


def test_every_retry_delay_of_a_throttled_start_stays_below_the_heartbeat(world: World) -> None:
    """Else a run that HealthLake keeps waiting would die of silence."""
    heartbeat = json.loads(world.definition)["States"]["AwaitExport"]["HeartbeatSeconds"]
    longest = max(start_export.retry_delay(attempt, start_export.random.Random(1)) for attempt in range(20))  # type: ignore[attr-defined]
    assert longest + start_export._CLAIM_SECONDS < heartbeat
