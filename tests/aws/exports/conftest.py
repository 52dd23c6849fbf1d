"""The export workflow in moto: its own Step Functions interpreter runs the state machine's file, the real
functions answer its queues, and the real simulator is exported from over HTTP.
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.s3.models import FakeKey
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    _SERVICE_ERROR_NAMES,
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint

from lambdas.land_export import handler as land_export
from lambdas.land_export.copier import DamagedCopyError
from lambdas.poll_export import handler as poll_export
from lambdas.publish_resources import handler as publish_resources
from lambdas.start_export import handler as start_export
from local.healthlake import DATASTORE_ID
from local.healthlake.aws import S3Objects
from local.healthlake.client import HealthLakeClient
from local.healthlake.quotas import RATES, Quotas
from local.healthlake.server import Simulator, simulator
from tests.conftest import PATIENCE

EXPORTS, LANDING, STATE = "exports", "landing", "state"
ASL = Path(__file__).parents[3] / "infra" / "state_machines" / "export.asl.json"
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


client = cache(boto3.client)
"""Clients are slow to make and quick to use; they are made anew for each test, whose moto they must see."""


@dataclass
class World:
    """What a run touches. `events` holds HealthLake's events until `deliver_events`."""

    simulator: Simulator
    lake: HealthLakeClient
    definition: str
    events: list[dict[str, Any]]
    start_queue: str
    poll_queue: str
    outcomes_queue: str
    fail_landing: int = 0
    machine: str = ""

    def deploy(self, definition: str | None = None) -> None:
        """Create the state machine."""
        self.machine = client("stepfunctions").create_state_machine(
            name=f"export-{uuid.uuid4().hex[:8]}",
            definition=definition or self.definition,
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]

    def start(self, options: Mapping[str, Any] | None = None) -> str:
        """Begin an execution; its ARN."""
        started = client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=uuid.uuid4().hex, input=json.dumps(options or {})
        )
        return str(started["executionArn"])

    def finish(self, execution: str, *, seconds: float = PATIENCE) -> dict[str, Any]:
        """Answer the queues until the execution ends; how it ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.answer_queues()
            ended = self.described(execution)
            if ended["status"] in ENDED:
                return ended
            time.sleep(0.02)
        raise AssertionError(f"still {self.described(execution)['status']}")

    def run(self, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One execution from start to end."""
        return self.finish(self.start(options))

    def described(self, execution: str) -> dict[str, Any]:
        return dict(client("stepfunctions").describe_execution(executionArn=execution))

    def answer_queues(self) -> None:
        """Hand what waits to the functions; a message that one fails on comes again, as from SQS."""
        sqs = client("sqs")
        for queue, answer in (
            (self.start_queue, start_export.handler),
            (self.poll_queue, poll_export.handler),
        ):
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
                handle = message["ReceiptHandle"]
                try:
                    answer({"Records": [{"body": message["Body"]}]}, None)
                except AttributeError:  # moto looks for the token in an execution that is just beginning
                    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
                else:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)

    def deliver_events(self) -> None:
        while self.events:
            poll_export.handler(self.events.pop(0), None)

    def record(self, key: str = "RUN") -> dict[str, Any]:
        """A record of the state table, without type descriptors."""
        item = client("dynamodb").get_item(TableName=STATE, Key={"id": {"S": key}}).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def outcomes(self) -> list[dict[str, Any]]:
        """Messages of the outcomes topic, oldest first."""
        return [json.loads(json.loads(body)["Message"]) for body in receive(self.outcomes_queue)]

    def landed_ids(self) -> list[str]:
        """Ids of the resources in the landing zone, one per landed line."""
        return sorted(
            json.loads(line)["id"]
            for key, body in objects(LANDING).items()
            if key.endswith(".ndjson") and "/resource_type=" in key
            for line in body.splitlines()
        )

    def manifests(self) -> list[dict[str, Any]]:
        """Manifests in the landing zone."""
        found = [json.loads(body) for key, body in objects(LANDING).items() if key.endswith(".json")]
        return sorted(found, key=lambda manifest: str(manifest["submitted_at"]))

    def workflow_runs(self) -> list[str]:
        """Export ids that the Glue workflow was started for."""
        runs = client("glue").get_workflow_runs(Name="watershed")["Runs"]
        return [run["WorkflowRunProperties"]["export_id"] for run in runs]


def until(holds: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Wait for something, leaving the processor to the threads that bring it about."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def objects(bucket: str) -> dict[str, bytes]:
    s3 = client("s3")
    return {
        found["Key"]: s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
        for found in s3.list_objects_v2(Bucket=bucket).get("Contents", ())
    }


def states_entered(execution: str) -> list[str]:
    """The states that an execution came to, in order; those of Maps are other executions'."""
    events = client("stepfunctions").get_execution_history(executionArn=execution, maxResults=1000)["events"]
    return [each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each]


def receive(queue: str) -> list[str]:
    sqs = client("sqs")
    bodies = []
    for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
        bodies.append(message["Body"])
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return bodies


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    config = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
    client.cache_clear()
    with mock_aws(config=config):
        yield from _world(tmp_path, monkeypatch)


def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    s3, sqs, sns = client("s3"), client("sqs"), client("sns")
    for bucket in (EXPORTS, LANDING):
        s3.create_bucket(Bucket=bucket)
    client("dynamodb").create_table(
        TableName=STATE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("start", "poll", "outcomes")}
    topic = sns.create_topic(Name="outcomes")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:outcomes")
    client("glue").create_workflow(Name="watershed")
    function = _land_function()

    events: list[dict[str, Any]] = []

    def announce(detail_type: str, detail: Mapping[str, object]) -> None:
        events.append({"source": "aws.healthlake", "detail-type": detail_type, "detail": dict(detail)})

    rates = Quotas({name: rate * 1000 for name, rate in RATES.items()})
    served = simulator(tmp_path / "lake", S3Objects(s3), announce, resources_per_file=2, quotas=rates)
    served.start()
    for name, value in {
        "HEALTHLAKE_ENDPOINT": served.url,
        "DATASTORE_ID": DATASTORE_ID,
        "EXPORTS_BUCKET": EXPORTS,
        "LANDING_BUCKET": LANDING,
        "STATE_TABLE": STATE,
        "START_QUEUE_URL": queues["start"],
        "POLL_QUEUE_URL": queues["poll"],
        "EXPORT_ROLE_ARN": "arn:aws:iam::123456789012:role/export",
        "EXPORT_KMS_KEY_ARN": "arn:aws:kms:us-east-1:123456789012:key/k",
        "POLL_DELAY_SECONDS": "0",
        "WATERMARK_OVERLAP_SECONDS": "0",
        "EVENT_BUS": "resources",
    }.items():
        monkeypatch.setenv(name, value)
    for made in (
        start_export.make_starter,
        poll_export.make_poller,
        land_export.make_lander,
        publish_resources.make_publisher,
    ):
        made.cache_clear()
    monkeypatch.setattr("lambdas.start_export.handler.retry_delay", lambda *_: 0)

    text = ASL.read_text()
    for name, value in {
        "StateTableName": STATE,
        "StartQueueUrl": queues["start"],
        "LandExportFunctionArn": function,
        "PublishResourcesFunctionArn": function.replace("land_export", "publish_resources"),
        "ResourceEvents": "false",
        "ExportsBucketName": EXPORTS,
        "OutcomesTopicArn": topic,
        "WorkflowName": "watershed",
    }.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text
    world = World(
        served,
        HealthLakeClient(served.url),
        text,
        events,
        queues["start"],
        queues["poll"],
        queues["outcomes"],
    )

    def invoke(
        _self: object,
        function_name: str,
        qualifier: str | None,
        body: Any,
        headers: object,
        response_headers: dict[str, str],
    ) -> bytes:
        # moto's Lambda runs nothing without Docker; this runs the function that the machine means.
        event = json.loads(body)
        if "raise" in event:  # a state that a test has fail so
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorType": event["raise"], "errorMessage": ""}).encode()
        try:
            if function_name.endswith("publish_resources"):
                return json.dumps(publish_resources.handler(event, None)).encode()
            assert function_name.endswith("land_export")
            if "land" in event and world.fail_landing > 0:
                world.fail_landing -= 1
                raise DamagedCopyError("landing fails, as planned")
            return json.dumps(land_export.handler(event, None)).encode()
        except Exception as error:  # as the runtime reports what a function raises
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}).encode()

    monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
    _name_members_as_aws(monkeypatch)
    _take_early_heartbeats(monkeypatch)
    _let_readers_finish(monkeypatch)
    world.deploy()
    yield world
    served.stop()


def _name_members_as_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK integration names all members in PascalCase, as the SDK for Java does.

    moto hands them to boto3 as they are, which for Step Functions' own API wants camelCase; and it knows
    the prefix of few services' errors.
    """

    def parameters(self: Any, parameters: dict[str, Any], *_: object, **__: object) -> None:
        if self.resource.api_name == "sfn":
            for name in list(parameters):
                parameters[name[0].lower() + name[1:]] = parameters.pop(name)

    def response(self: Any, response: dict[str, Any], *_: object, **__: object) -> None:
        if self.resource.api_name == "sfn":
            for name in list(response):
                response[name[0].upper() + name[1:]] = response.pop(name)

    monkeypatch.setitem(_SERVICE_ERROR_NAMES, "glue", "Glue")
    monkeypatch.setattr(StateTaskServiceAwsSdk, "_normalise_parameters", parameters)
    monkeypatch.setattr(StateTaskServiceAwsSdk, "_normalise_response", response)


def _land_function() -> str:
    iam = client("iam")
    role = iam.create_role(RoleName="land", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", "")
    made = client("lambda").create_function(
        FunctionName="land_export",
        Runtime="python3.11",
        Role=role,
        Handler="handler.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    return str(made["FunctionArn"])


def _take_early_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto sends a task's message before it listens for the task's heartbeat, and calls a token whose
    heartbeat comes in between unknown. In AWS a token is known before anyone can have it.
    """
    heartbeat = CallbackEndpoint.notify_heartbeat

    def taken(endpoint: CallbackEndpoint) -> bool:
        return heartbeat(endpoint) or endpoint.consumer_error is None

    monkeypatch.setattr(CallbackEndpoint, "notify_heartbeat", taken)


def _let_readers_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto closes an object that is written over, under whoever reads it. In S3 they read on what they began
    with: a second event of one export writes the list of its files again while the machine reads it.
    """

    def forget(key: FakeKey, garbage: bool = False) -> None:
        key.disposed = True

    monkeypatch.setattr(FakeKey, "dispose", forget)
