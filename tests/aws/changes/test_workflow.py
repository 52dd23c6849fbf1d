"""The search workflow in moto: its own interpreter runs the state machine's file, the real functions note
calls and search, and the simulator is searched over HTTP."""

from __future__ import annotations

import gzip
import json
import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp

from lambdas.find_fhir_changes import handler as find
from lambdas.note_fhir_changes import handler as note
from local.healthlake import DATASTORE_ID
from local.healthlake.aws import S3Objects
from local.healthlake.client import HealthLakeClient
from local.healthlake.quotas import RATES, Quotas
from local.healthlake.server import simulator
from tests.aws.exports.conftest import ENDED, _land_function, client, objects
from tests.conftest import PATIENCE

ASL = Path(__file__).parents[3] / "infra" / "state_machines" / "fhir_changes.asl.json"
CHANGES, LANDING = "changes", "landing"


@dataclass
class World:
    """`calls` holds CloudTrail's events until they are noted."""

    lake: HealthLakeClient
    machine: str
    calls: list[dict[str, Any]] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)
    fail_searches: int = 0
    hang_searches: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    """When a search that hangs goes on."""

    def deploy(self, **changes: Any) -> None:
        """The machine with other values, its states' by their names."""
        described = client("stepfunctions").describe_state_machine(stateMachineArn=self.machine)
        definition = json.loads(described["definition"])
        for name, value in changes.items():
            if name in definition["States"]:
                definition["States"][name].update(value)
            else:
                definition[name] = value
        client("stepfunctions").update_state_machine(
            stateMachineArn=self.machine, definition=json.dumps(definition)
        )

    def note(self) -> dict[str, Any]:
        records = [
            {"messageId": str(number), "body": json.dumps({"detail": call})}
            for number, call in enumerate(self.calls)
        ]
        self.calls.clear()
        return dict(note.handler({"Records": records}, None))

    def executions(self) -> list[dict[str, Any]]:
        machines = client("stepfunctions")
        return [
            dict(machines.describe_execution(executionArn=each["executionArn"]))
            for each in machines.list_executions(stateMachineArn=self.machine)["executions"]
        ]

    def finish(self) -> list[dict[str, Any]]:
        """Wait until every execution has ended; how."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.executions()
            if all(each["status"] in ENDED for each in found):
                return found
            time.sleep(0.05)
        raise AssertionError("still running")

    def landed(self) -> list[tuple[str, str]]:
        """(id, version) of the changes that landed."""
        return sorted(
            (line["id"], line["meta"]["versionId"])
            for key, body in objects(LANDING).items()
            if key.startswith("fhir_changes/")
            for line in map(json.loads, gzip.decompress(body).splitlines())
        )

    def listings(self) -> list[dict[str, Any]]:
        found = [json.loads(body) for key, body in objects(LANDING).items() if key.endswith(".json")]
        return sorted(found, key=lambda manifest: str(manifest["submitted_at"]))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    config = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
    client.cache_clear()
    with mock_aws(config=config):
        yield from _world(tmp_path, monkeypatch)


def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    client("s3").create_bucket(Bucket=LANDING)
    client("dynamodb").create_table(
        TableName=CHANGES,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    text = ASL.read_text().replace("${ChangesTableName}", CHANGES)
    text = text.replace("${FindFunctionArn}", _land_function())
    # Pauses between attempts are for HealthLake's sake, not for the test's.
    definition = json.loads(text)
    for retry in definition["States"]["Find"]["Retry"]:
        retry.update({"IntervalSeconds": 1, "BackoffRate": 1, "MaxDelaySeconds": 2, "MaxAttempts": 2})
    machine = client("stepfunctions").create_state_machine(
        name="fhir-changes",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::123456789012:role/machine",
    )["stateMachineArn"]

    rates = Quotas({name: rate * 1000 for name, rate in RATES.items()})
    served = simulator(tmp_path / "lake", S3Objects(client("s3")), lambda *_: None, quotas=rates)
    world = World(HealthLakeClient(served.url), machine)
    served.tell(lambda call: world.calls.append(dict(call)), lambda *_: None)
    served.start()
    for name, value in {
        "HEALTHLAKE_ENDPOINT": served.url,
        "DATASTORE_ID": DATASTORE_ID,
        "LANDING_BUCKET": LANDING,
        "CHANGES_TABLE": CHANGES,
        "MACHINE_ARN": machine,
        "CHANGE_WINDOW_SECONDS": "1",
        "CHANGE_SETTLE_SECONDS": "1",
        "DELETE_WINDOW_SECONDS": "1",
        "DELETE_SETTLE_SECONDS": "2",
        "SEARCH_OVERLAP_SECONDS": "60",
        "DELETE_MARGIN_SECONDS": "1",
        "DELETE_MAX_RESOURCES": "1000",
    }.items():
        monkeypatch.setenv(name, value)
    note.make_noter.cache_clear()
    find.make_finder.cache_clear()

    def invoke(
        _self: object, function_name: str, qualifier: str | None, body: Any, headers: object,
        response_headers: dict[str, str],
    ) -> bytes:  # fmt: skip
        # moto's Lambda runs nothing without Docker; this runs the function that the machine means.
        event: Mapping[str, Any] = json.loads(body)
        world.searches.append(dict(event))
        try:
            if world.hang_searches > 0:
                world.hang_searches -= 1
                world.over.wait(PATIENCE)
            if world.fail_searches > 0:
                world.fail_searches -= 1
                raise TimeoutError
            return json.dumps(find.handler(event, None)).encode()
        except Exception as error:  # as the runtime reports what a function raises
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}).encode()

    monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
    monkeypatch.setattr(Timestamp, "_get_wait_seconds", _seconds_until)
    yield world
    world.over.set()
    served.stop()


def _seconds_until(self: Any, env: Any) -> int:
    """Until the timestamp, upwards. moto takes the machine's local time for UTC and rounds down."""
    self.string.eval(env=env)
    left = datetime.fromisoformat(env.stack.pop()) - datetime.now(UTC)
    return max(0, math.ceil(left.total_seconds()))


def patient(id_: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, **more}


def test_many_calls_lead_to_one_search_that_lands_every_version_once(world: World) -> None:
    for id_ in ("a", "b", "c"):
        world.lake.put(patient(id_))
    calls = list(world.calls)
    assert world.note() == {"batchItemFailures": []}
    world.calls[:] = calls  # delivered again
    world.note()
    ended = world.finish()
    assert {each["status"] for each in ended} == {"SUCCEEDED"}
    assert len(world.searches) == len(ended) <= 2  # two windows where a second ended in between
    assert world.landed() == [("a", "1"), ("b", "1"), ("c", "1")]


def test_a_later_search_lands_only_what_is_new(world: World) -> None:
    world.lake.put(patient("a"))
    world.note()
    world.finish()
    world.lake.put(patient("a", active=True))
    world.lake.put(patient("b"))
    world.note()
    world.finish()
    assert world.landed() == [("a", "1"), ("a", "2"), ("b", "1")]


def test_all_pages_are_read_by_as_many_calls_as_it_takes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "PAGES_AT_ONCE", 2)
    world.lake.put_all(patient(f"p{number:03d}") for number in range(450))  # a bundle: no call is told of
    assert world.calls == []
    world.lake.put(patient("p000", active=True))
    world.note()
    (ended,) = world.finish()
    assert json.loads(ended["output"]) == {"page": "", "outcome": "searched", "landed": 50}
    assert len(world.landed()) == 450
    assert [bool(each["page"]) for each in world.searches] == [False, True, True]


def test_a_deletion_leads_to_a_listing_of_its_type_that_judges_it(world: World) -> None:
    world.lake.put_all([patient("a"), patient("b"), {"resourceType": "Encounter", "id": "e"}])
    time.sleep(1)
    world.lake.delete("Patient", "b")
    (call,) = world.calls
    world.note()
    (ended,) = world.finish()
    assert json.loads(ended["output"])["outcome"] == "listed"
    (manifest,) = world.listings()
    assert (manifest["kind"], manifest["types"], manifest["mode"]) == ("listing", ["Patient"], "full")
    assert manifest["submitted_at"] >= call["eventTime"].replace("Z", ".000Z")
    (file,) = manifest["files"]
    lines = objects(LANDING)[file["key"]]
    assert len(lines) == file["size"]
    assert [json.loads(line)["id"] for line in lines.splitlines()] == ["a"]
    assert set(json.loads(lines.splitlines()[0])) == {"resourceType", "id", "meta"}


def test_a_type_that_is_too_large_is_left_to_the_next_full_export(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELETE_MAX_RESOURCES", "1")
    find.make_finder.cache_clear()
    world.lake.put_all([patient("a"), patient("b"), patient("c")])
    world.lake.delete("Patient", "c")
    world.note()
    (ended,) = world.finish()
    assert json.loads(ended["output"])["outcome"] == "too_many"
    assert world.listings() == []


def test_a_search_that_fails_is_tried_again(world: World) -> None:
    world.lake.put(patient("a"))
    world.fail_searches = 1
    world.lake.plan_faults(throttle=1)
    world.note()
    (ended,) = world.finish()
    assert ended["status"] == "SUCCEEDED"
    assert world.landed() == [("a", "1")]
    assert len(world.searches) == 3


def test_a_search_that_always_fails_fails_its_execution_for_the_alarm(world: World) -> None:
    world.lake.put(patient("a"))
    world.fail_searches = 9
    world.note()
    (ended,) = world.finish()
    assert ended["status"] == "FAILED"


def test_a_message_that_is_no_call_is_left_to_the_dead_letter_queue(world: World) -> None:
    world.lake.put(patient("a"))
    world.calls.insert(0, {"surprise": True, "requestParameters": {"datastoreId": DATASTORE_ID}})
    assert world.note() == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert len(world.finish()) == 1


def test_a_search_that_hangs_is_given_up_and_tried_again(world: World) -> None:
    world.deploy(Find={"TimeoutSeconds": 5})
    world.lake.put(patient("a"))
    world.hang_searches = 1
    world.note()
    (ended,) = world.finish()
    assert ended["status"] == "SUCCEEDED"
    assert world.landed() == [("a", "1")]
    assert len(world.searches) == 2


def test_a_window_that_is_never_searched_times_out_for_the_alarm(world: World) -> None:
    world.deploy(TimeoutSeconds=1)
    world.lake.put(patient("a"))
    world.hang_searches = 9
    world.note()
    (ended,) = world.finish()
    assert ended["status"] == "TIMED_OUT"


def test_a_window_that_cannot_be_read_is_read_again_and_at_last_fails(world: World) -> None:
    world.deploy(
        ReadWindow={"Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}]}
    )
    world.lake.put(patient("a"))
    world.note()
    client("dynamodb").delete_table(TableName=CHANGES)
    (ended,) = world.finish()
    assert ended["status"] == "FAILED"
    assert world.searches == []
