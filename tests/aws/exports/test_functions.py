"""The functions alone: every job state, what comes twice or late, what is lost, what crashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from lambdas.land_export import handler as land_export
from lambdas.land_export.copier import Copier, DamagedCopyError, MissingSourceError
from lambdas.land_export.copy_plan import Part
from lambdas.land_export.handler import ForeignFileError, IncompleteExportError
from lambdas.poll_export import handler as poll_export
from lambdas.shared.export_state import ExportState
from lambdas.start_export import handler as start_export
from lambdas.start_export.request import read_message
from local.healthlake.exports import STATES
from tests.aws.exports.conftest import EXPORTS, LANDING, STATE, World, client, objects, receive

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ARN = "arn:aws:states:us-east-1:123456789012:execution:export:one"


class Answers:
    """A task that waits, and what it was told."""

    def __init__(self) -> None:
        self.waiting = True
        self.told: list[tuple[str, Any]] = []

    def heartbeat(self, token: str) -> bool:
        if self.waiting:
            self.told.append(("heartbeat", token))
        return self.waiting

    def succeed(self, token: str, output: Any) -> bool:
        return self._end(("succeeded", output))

    def fail(self, token: str, error: str, cause: str) -> bool:
        return self._end(("failed", error))

    def _end(self, told: tuple[str, Any]) -> bool:
        was, self.waiting = self.waiting, False
        if was:
            self.told.append(told)
        return was

    @property
    def ends(self) -> list[tuple[str, Any]]:
        return [told for told in self.told if told[0] != "heartbeat"]


@pytest.fixture
def task(world: World) -> Answers:
    answers = Answers()
    for made in (start_export.make_starter(), poll_export.make_poller()):
        object.__setattr__(made, "callback", answers)
    return answers


def start(**more: Any) -> None:
    message = {"taskToken": "token", "executionArn": ARN, "lastRunTime": "", "options": {}, **more}
    start_export.handler({"Records": [{"body": json.dumps(message)}]}, None)


def poll(job_id: str, number: int = 0) -> None:
    poll_export.handler({"Records": [{"body": json.dumps({"jobId": job_id, "poll": number})}]}, None)


def only_job(world: World) -> str:
    (job,) = world.lake.exports()
    return str(job["exportJobProperties"]["jobId"])


def again(world: World) -> None:
    """Hand the messages of the start queue to start_export."""
    for body in receive(world.start_queue):
        start_export.handler({"Records": [{"body": body}]}, None)


def test_a_start_message_that_comes_twice_starts_one_export(world: World, task: Answers) -> None:
    start()
    start()
    assert len(world.lake.exports()) == 1


@pytest.mark.parametrize("fault", ["lost_replies", "server_errors", "throttle"])
def test_a_lost_reply_does_not_start_a_second_export(world: World, task: Answers, fault: str) -> None:
    world.lake.plan_faults(**{fault: 1})
    start()
    again(world)
    assert len(world.lake.exports()) == 1
    assert len(receive(world.poll_queue)) == 1


def test_a_crash_after_the_start_does_not_start_a_second_export(
    world: World, task: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(ExportState, "record_job", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            start()
    start()
    assert len(world.lake.exports()) == 1


def test_two_functions_with_one_message_start_one_export(world: World, task: Answers) -> None:
    starter = start_export.make_starter()
    message = {"taskToken": "token", "executionArn": ARN, "options": {}}
    request = read_message(json.dumps(message))
    assert starter.state.claim_start(request.name, 90) is not None  # the other is at it
    starter.start(request)
    assert world.lake.exports() == []


def test_nothing_is_started_for_a_task_that_has_ended(world: World, task: Answers) -> None:
    task.waiting = False
    start()
    assert world.lake.exports() == []


def test_a_refusal_fails_the_task_at_once(
    world: World, task: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_export, "ExportOrder", _order_without_role)
    start()
    assert task.ends == [("failed", "HealthLake.ValidationException")]


def _order_without_role(**fields: Any) -> Any:
    from lambdas.shared.healthlake_client import ExportOrder

    return ExportOrder(**{**fields, "role_arn": ""})


@pytest.mark.parametrize("status", STATES)
def test_every_job_state_has_its_answer(world: World, task: Answers, status: str) -> None:
    world.lake.plan_faults(export_seconds=30)
    start()
    job_id = only_job(world)
    receive(world.poll_queue)
    world.lake.force_status(job_id, status)
    poll(job_id)
    expected = {
        "COMPLETED": "succeeded",
        "COMPLETED_WITH_ERRORS": "succeeded",
        "FAILED": "failed",
        "CANCEL_COMPLETED": "failed",
        "CANCEL_FAILED": "failed",
    }
    assert [told for told, _ in task.ends] == ([expected[status]] if status in expected else [])
    goes_on = receive(world.poll_queue)
    assert [json.loads(body)["poll"] for body in goes_on] == ([] if status in expected else [1])


def test_answers_that_come_twice_or_late_do_no_harm(world: World, task: Answers) -> None:
    world.lake.put_all([{"resourceType": "Patient", "id": "a"}])
    start()
    job_id = only_job(world)
    while not task.ends:
        poll(job_id)
    poll(job_id)
    poll(job_id, 7)
    world.deliver_events()
    assert len(task.ends) == 1
    manifests = [key for key in objects(EXPORTS) if key.startswith("manifests/")]
    assert manifests == [f"manifests/{job_id}/_manifest.json", f"manifests/{job_id}/files.json"]


def test_a_duplicate_poll_queues_no_second_chain(world: World, task: Answers) -> None:
    world.lake.plan_faults(export_seconds=30)
    start()
    receive(world.poll_queue)
    poll(only_job(world), 0)
    poll(only_job(world), 0)
    assert len(receive(world.poll_queue)) == 1


def test_an_export_that_nobody_waits_for_is_cancelled(world: World, task: Answers) -> None:
    world.lake.plan_faults(export_seconds=30)
    start()
    task.waiting = False
    poll(only_job(world))
    (job,) = world.lake.exports()
    assert job["exportJobProperties"]["jobStatus"].startswith("CANCEL")


def test_another_ones_export_is_left_alone(world: World, task: Answers) -> None:
    poll_export.handler({"source": "aws.healthlake", "detail": {"jobId": "0" * 32}}, None)
    assert task.told == []


def test_a_throttled_poll_is_tried_again(world: World, task: Answers) -> None:
    start()
    receive(world.poll_queue)
    world.lake.plan_faults(throttle=1)
    poll(only_job(world))
    assert task.ends == []
    assert len(receive(world.poll_queue)) == 1


def test_after_a_failed_export_the_same_execution_starts_a_new_one(world: World, task: Answers) -> None:
    world.lake.plan_faults(fail_exports=1)
    start()
    while not task.ends:
        poll(only_job(world))
    task.waiting = True
    start()
    assert len(world.lake.exports()) == 2


def test_a_running_export_renews_the_lease_of_its_owner_only(world: World, task: Answers) -> None:
    world.lake.plan_faults(export_seconds=30)
    for owner, renewed in ((ARN, True), ("another", False)):
        client("dynamodb").put_item(TableName=STATE, Item={"id": {"S": "RUN"}, "ownerArn": {"S": owner}})
        start()
        poll(str(world.lake.exports()[0]["exportJobProperties"]["jobId"]))
        assert ("leaseUntil" in world.record()) is renewed


def copier(**more: Any) -> Copier:
    return Copier(client("s3"), EXPORTS, LANDING, **more)


def test_a_file_is_copied_once(world: World) -> None:
    client("s3").put_object(Bucket=EXPORTS, Key="exports/x", Body=b"line\n")
    first, second = copier().copy("exports/x", "fhir/x"), copier().copy("exports/x", "fhir/x")
    assert (first.copied, second.copied) == (True, False)
    assert (first.size, first.etag) == (second.size, second.etag)
    assert objects(LANDING) == {"fhir/x": b"line\n"}


def test_a_file_that_changed_is_copied_again(world: World) -> None:
    client("s3").put_object(Bucket=EXPORTS, Key="exports/x", Body=b"one\n")
    copier().copy("exports/x", "fhir/x")
    client("s3").put_object(Bucket=EXPORTS, Key="exports/x", Body=b"two\n")
    assert copier().copy("exports/x", "fhir/x").copied
    assert objects(LANDING) == {"fhir/x": b"two\n"}


def test_a_large_file_is_copied_in_parts(world: World) -> None:
    megabytes = [bytes([letter]) * 5 * 1024 * 1024 for letter in b"abc"]
    body = b"".join(megabytes) + b"rest"
    client("s3").put_object(Bucket=EXPORTS, Key="exports/x", Body=body)
    step = 5 * 1024 * 1024

    def split(size: int) -> list[Part]:
        return [
            Part(number, first, min(first + step, size) - 1)
            for number, first in enumerate(range(0, size, step), start=1)
        ]

    landed = copier(needs_parts=lambda size: size > step, split=split).copy("exports/x", "fhir/x")
    assert landed.size == len(body)
    assert objects(LANDING) == {"fhir/x": body}
    assert landed.etag.endswith("-4")


def test_a_part_that_fails_leaves_no_upload_behind(world: World) -> None:
    client("s3").put_object(Bucket=EXPORTS, Key="exports/x", Body=b"x" * 10)

    def split(_: int) -> Iterator[Part]:
        yield Part(1, 0, 4)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        copier(needs_parts=lambda _: True, split=split).copy("exports/x", "fhir/x")
    assert "Uploads" not in client("s3").list_multipart_uploads(Bucket=LANDING)


def test_a_copy_of_another_size_is_damaged(world: World) -> None:
    client("s3").put_object(Bucket=EXPORTS, Key="exports/x", Body=b"x" * 10)
    with pytest.raises(DamagedCopyError):
        copier(needs_parts=lambda _: True, split=lambda _: [Part(1, 0, 4)]).copy("exports/x", "fhir/x")


class Flipped:
    """S3 that holds another content in the landing bucket than it was given, by its checksum."""

    def __getattr__(self, name: str) -> Any:
        return getattr(client("s3"), name)

    def head_object(self, **request: str) -> dict[str, Any]:
        head = dict(client("s3").head_object(**request))
        return head | ({"ChecksumSHA256": "another"} if request["Bucket"] == LANDING else {})


def test_a_copy_of_another_checksum_is_damaged_and_is_made_again(world: World) -> None:
    body = b"line\n"
    client("s3").put_object(Bucket=EXPORTS, Key="exports/x", Body=body, ChecksumAlgorithm="SHA256")
    flipped = Copier(cast("S3Client", Flipped()), EXPORTS, LANDING)
    for _ in range(2):  # nor does the second believe that it landed before
        with pytest.raises(DamagedCopyError, match="fhir/x"):
            flipped.copy("exports/x", "fhir/x")
    assert copier().copy("exports/x", "fhir/x").size == len(body)


def test_a_missing_file_says_so(world: World) -> None:
    with pytest.raises(MissingSourceError, match="export again"):
        copier().copy("exports/gone", "fhir/x")


@pytest.mark.parametrize(
    "file",
    [
        {"url": "s3://elsewhere/exports/x", "key": "fhir/x"},
        {"url": f"s3://{EXPORTS}/manifests/x", "key": "fhir/x"},
        {"url": f"s3://{EXPORTS}/exports/x", "key": "items/x"},
    ],
)
def test_only_files_of_exports_land_and_only_as_fhir(world: World, file: dict[str, str]) -> None:
    with pytest.raises(ForeignFileError):
        land_export.handler({"land": file}, None)


def test_an_export_is_not_committed_while_a_file_is_missing(world: World) -> None:
    file = {"type": "Patient", "url": "s3://x", "key": "fhir/resource_type=Patient/x"}
    manifest = {"job_id": "j", "files": [file], "deleted": [], "errors": []}
    client("s3").put_object(Bucket=EXPORTS, Key="manifests/j/_manifest.json", Body=json.dumps(manifest))
    with pytest.raises(IncompleteExportError, match="1 files"):
        land_export.handler({"commit": "manifests/j/_manifest.json"}, None)
    assert objects(LANDING) == {}
