"""A timeline: the real functions, state machine and simulator, and a clock and deliveries that a test moves.

Modelled are only the services between them (``asl_model``, ``aws_model``).
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from lambdas.land_export.copier import Copier
from lambdas.land_export.handler import Lander
from lambdas.poll_export import handler as poll_export
from lambdas.shared.export_state import ExportState, iso
from lambdas.shared.fhir_search import FhirReader
from lambdas.shared.healthlake_client import HealthLake
from lambdas.shared.healthlake_http import HealthLakeUnavailableError, HttpReply, SignedHttp, refusal
from lambdas.shared.task_callback import TaskCallback
from lambdas.start_export import handler as start_export
from lambdas.start_export.request import read_message
from local.healthlake import DATASTORE_ID
from local.healthlake.api import Api
from local.healthlake.exports import ExportJob, Exports
from local.healthlake.faults import FaultPlan
from local.healthlake.imports import Imports
from local.healthlake.quotas import RATES, Quotas
from local.healthlake.store import Store
from local.healthlake.wire import Request, describe_sdk
from tests.unit.exports.asl_model import Execution, TaskError
from tests.unit.exports.aws_model import Buckets, Message, Queue, Queues, Table
from tests.unit.exports.aws_model import refusal as aws_refusal
from tests.unit.exports.timeline_feeds import NONE, Feeds

ASL = Path(__file__).parents[3] / "infra" / "state_machines" / "export.asl.json"
START = datetime(2026, 3, 1, tzinfo=UTC)
IN_MEMORY = Path(":memory:")
_HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=k/20260301/us-east-1/healthlake/aws4_request,"
    f" SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
    "X-Amz-Date": "20260301T000000Z",
}


class Crash(BaseException):
    """A function's process ends here and now: nothing of it runs on, not even its error handling."""


class Http:
    """``SignedHttp`` whose server is the simulator's, without a network."""

    def __init__(self, api: Api, crash: Callable[[], None]) -> None:
        self._api, self._crash = api, crash

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HttpReply:
        self._crash()
        address = urlsplit(path)
        request = Request(method, unquote(address.path), address.query, {**_HEADERS, **(headers or {})}, body)
        reply = self._api.answer(request)
        self._crash()
        if reply.drop:
            raise HealthLakeUnavailableError(operation, 0, "ConnectionError")
        names = {name.lower(): value for name, value in reply.headers.items()}
        received = HttpReply(reply.status, names, reply.body.encode())
        if received.status >= 300:
            raise refusal(operation, received)
        return received


@dataclass
class Timeline:
    """The world. ``step`` moves it a little; ``quiet`` moves it until nothing is left to happen."""

    feed: str = NONE
    milliseconds: int = 0
    crash_in: int = 0
    """A function crashes at the so-manieth of its calls from now; 0: none does."""
    executions: list[Execution] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    workflow_runs: list[str] = field(default_factory=list)
    most_at_once: int = 0
    _running: ExportJob | None = None
    _numbers: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.table, self.s3 = Table(self._crash), Buckets(self._crash)
        self.start_queue, self.poll_queue = (Queue(self.now, self._crash) for _ in range(2))
        self.store, self.faults = Store(IN_MEMORY), FaultPlan()
        self.exports = Exports(
            IN_MEMORY, self.store, self.s3, self._announce, self.faults,
            datastore_id=DATASTORE_ID, resources_per_file=2,
        )  # fmt: skip
        quotas = Quotas({name: rate * 1_000_000 for name, rate in RATES.items()})
        self.imports = Imports(self.store, self.s3)
        api = Api(self.store, self.exports, self.imports, self.faults, quotas, datastore_id=DATASTORE_ID)
        http = cast("SignedHttp", Http(api, self._crash))
        healthlake = HealthLake(http, cast("Any", self), DATASTORE_ID)
        state = ExportState(cast("Any", self.table), "state", self.moment)
        callback = TaskCallback(cast("Any", self))
        sqs = cast("Any", Queues({"start": self.start_queue, "poll": self.poll_queue}))
        overlap = timedelta(0)  # nothing becomes visible late here, so that none is needed
        self._starter = start_export.Starter(
            start_export.Settings("s3://exports/exports/", "key", "arn:aws:iam::1:role/r", "start", "poll", 30, overlap, 3600),
            healthlake, state, callback, sqs, random.Random(0),
        )  # fmt: skip
        s3 = cast("Any", self.s3)
        self._poller = poll_export.Poller(
            poll_export.Settings(DATASTORE_ID, "exports", "manifests/", "poll", 30, 3600),
            healthlake, state, callback, sqs, s3,
        )  # fmt: skip
        self._lander = Lander(
            Copier(s3, "exports", "landing"), s3, "exports", "landing", "exports/", "manifests/"
        )
        self.feeds = Feeds(self, self.feed, self._crash, FhirReader(http, DATASTORE_ID))
        text = ASL.read_text()
        for name, value in {
            "StartQueueUrl": "start",
            "ExportsBucketName": "exports",
            "ResourceEvents": "false",
        }.items():
            text = text.replace(f"${{{name}}}", value)
        self._definition = json.loads(text)

    # Time

    def now(self) -> float:
        return self.milliseconds / 1000

    def now_ms(self) -> int:
        return int(START.timestamp() * 1000) + self.milliseconds

    def moment(self) -> datetime:
        return START + timedelta(milliseconds=self.milliseconds)

    def entered(self) -> str:
        """The time as Step Functions writes it."""
        return iso(self.moment())

    def _crash(self) -> None:
        self.milliseconds += 1
        if self.crash_in:
            self.crash_in -= 1
            if not self.crash_in:
                raise Crash

    # What can happen

    def run(self, mode: str = "incremental", **options: object) -> Execution:
        """Begin an execution with these options."""
        execution = Execution(
            f"arn:aws:states:us-east-1:1:execution:export:{next(self._numbers)}",
            self._definition, self._resources(), self.now, self.entered, {"mode": mode, **options},
        )  # fmt: skip
        self.executions.append(execution)
        return execution

    def step(self) -> bool:
        """Let each part do one thing; False where none had anything to do."""
        self.milliseconds += 500
        moved = [execution.step() for execution in self.executions]
        moved += [self.serve(self.start_queue, self._start), self.serve(self.poll_queue, self._poll)]
        moved += [self._deliver(), self._work(), *self.feeds.step()]
        return any(moved)

    def quiet(self) -> None:
        """No more faults; time passes until every execution has ended and every message is delivered."""
        self.faults.reset()
        self.crash_in = 0
        for _ in range(4_000):
            if not self.step():
                busy = [each for each in self.executions if each.status == "RUNNING"]
                waiting = self.start_queue.messages or self.poll_queue.messages or self.feeds.busy
                if not busy and not waiting:
                    return
                self.milliseconds += 20_000
        raise AssertionError("something is stuck")

    def finish(self, mode: str) -> Execution:
        """One more run, to its end."""
        execution = self.run(mode)
        self.quiet()
        return execution

    def disturbable(self, name: str) -> list[Any]:
        """What waits in a queue, by the queue's name."""
        if name == "events":
            return self.events
        queue: Queue = getattr(self.feeds if name in ("notices", "calls") else self, name)
        return queue.messages

    def serve(self, queue: Queue, answer: Callable[[Message], bool]) -> bool:
        """Hand a function the next message; one that it does not take becomes visible again."""
        message = queue.receive()
        if message is None:
            return False
        try:
            taken = answer(message)
        except Crash:
            taken = False
        if taken and message in queue.messages:
            queue.messages.remove(message)
        return True

    def _start(self, message: Message) -> bool:
        self._starter.start(read_message(message.body))
        return True

    def _poll(self, message: Message) -> bool:
        asked = json.loads(message.body)
        self._poller.poll(asked["jobId"], asked["poll"])
        return True

    def _deliver(self) -> bool:
        if not self.events:
            return False
        event = self.events.pop(0)
        try:
            self._poller.poll(event["jobId"], None)
        except Crash:
            self.events.append(event)
        return True

    def _announce(self, detail_type: str, detail: Mapping[str, object]) -> None:
        if "Completed" in detail_type or "Failed" in detail_type:
            self.events.append(dict(detail))

    def _work(self) -> bool:
        """HealthLake begins a job, or ends the one that runs: as its worker does, without the thread."""
        if self._running is not None:
            job, self._running = self._running, None
            self.exports._run(job)
            return True
        waiting = self.exports._next()
        if waiting is None:
            return False
        self._running = self.exports.job(waiting.id)
        self.exports.force(waiting.id, "IN_PROGRESS")
        self.exports._forced.discard(waiting.id)
        self._running = self.exports.job(waiting.id)
        at_once = [job for job in self.exports.jobs() if job.status == "IN_PROGRESS"]
        self.most_at_once = max(self.most_at_once, len(at_once))
        return True

    # Clients: of Step Functions for callbacks, of HealthLake's SDK

    def list_fhir_export_jobs(self, *, DatastoreId: str, JobName: str) -> dict[str, Any]:
        self._crash()
        jobs = [describe_sdk(job) for job in self.exports.jobs() if job.request.job_name == JobName]
        assert DatastoreId == DATASTORE_ID
        return {"ExportJobPropertiesList": jobs}

    def send_task_heartbeat(self, *, taskToken: str) -> None:
        waiting = self._waiting(taskToken).waiting
        assert waiting is not None
        waiting.beat_by = self.now() + waiting.heartbeat

    def send_task_success(self, *, taskToken: str, output: str) -> None:
        self._waiting(taskToken).answer = (True, json.loads(output))
        self._crash()

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:
        self._waiting(taskToken).answer = (False, (error, cause))
        self._crash()

    def _waiting(self, token: str) -> Execution:
        self._crash()
        for execution in self.executions:
            waiting = execution.waiting
            if waiting is not None and waiting.token == token and execution.answer is None:
                return execution
        raise aws_refusal("TaskTimedOut")

    # Resources of the state machine

    def _resources(self) -> dict[str, Callable[[Any, Execution], Any]]:
        def dynamodb(call: Callable[..., Any]) -> Callable[[Any, Execution], Any]:
            def answer(parameters: Any, _: Execution) -> Any:
                try:
                    return call(**parameters)
                except ClientError as error:
                    raise TaskError(f"DynamoDB.{error.response['Error']['Code']}") from None

            return self._uncrashed(answer)

        return {
            "dynamodb:updateItem": dynamodb(self.table.update_item),
            "dynamodb:putItem": dynamodb(self.table.put_item),
            "dynamodb:getItem": dynamodb(self.table.get_item),
            "sqs:sendMessage.waitForTaskToken": self._uncrashed(self._send),
            "arn:aws:states:::aws-sdk:sfn:describeExecution".removeprefix(
                "arn:aws:states:::"
            ): self._describe,
            "s3:getObject": lambda p, _: json.loads(self.s3.objects[p["Bucket"], p["Key"]][0]),
            "lambda:invoke": self._invoke,
            "aws-sdk:glue:startWorkflowRun": self._workflow,
            "sns:publish": lambda p, _: self.outcomes.append(json.loads(p["Message"])),
            "events:putEvents": lambda *_: None,
        }

    def _uncrashed(self, answer: Callable[[Any, Execution], Any]) -> Callable[[Any, Execution], Any]:
        """The machine's own calls: it is the functions that crash."""

        def call(parameters: Any, execution: Execution) -> Any:
            with self.uncrashed():
                return answer(parameters, execution)

        return call

    @contextmanager
    def uncrashed(self) -> Iterator[None]:
        """Nothing crashes in here."""
        armed, self.crash_in = self.crash_in, 0
        try:
            yield
        finally:
            self.crash_in = armed

    def _send(self, parameters: Any, _: Execution) -> None:
        self.start_queue.send_message(MessageBody=json.dumps(parameters["MessageBody"]))

    def _describe(self, parameters: Any, _: Execution) -> Any:
        arn = parameters["ExecutionArn"]
        return {"Status": next(each.status for each in self.executions if each.arn == arn)}

    def _invoke(self, parameters: Any, _: Execution) -> Any:
        payload = parameters["Payload"]
        try:
            if "land" in payload:
                return {"Payload": self._lander.land(payload["land"])}
            return {"Payload": self._lander.commit(payload["commit"])}
        except Crash:
            raise TaskError("Lambda.ServiceException") from None

    def _workflow(self, parameters: Any, _: Execution) -> Any:
        self.workflow_runs.append(parameters["RunProperties"]["export_id"])
        return {"RunId": "run"}

    # What came of it

    def landed(self) -> list[dict[str, Any]]:
        """The manifests in the landing zone, listings' too."""
        return [
            json.loads(body)
            for (bucket, key), (body, _) in self.s3.objects.items()
            if bucket == "landing" and key.startswith("fhir/_manifests/")
        ]

    def lines(self, key: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.s3.objects["landing", key][0].splitlines()]

    def changes(self) -> list[dict[str, Any]]:
        """What landed of the changes between exports: resources, and Bundles of a deletion."""
        return [
            json.loads(line)
            for (bucket, key), (body, _) in self.s3.objects.items()
            if bucket == "landing" and key.startswith("fhir_changes/")
            for line in gzip.decompress(body).splitlines()
        ]
