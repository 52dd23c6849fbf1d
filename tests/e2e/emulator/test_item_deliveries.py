"""The real stack, one table by each delivery, all changes told, and S3's events for the crawlers: what lands is what
the direct sink lands."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.settings import Settings
from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex
from local.deploy import StackOutputs, deploy, state_dir
from local.emulator import Emulator
from local.emulator.environment import Options
from schemas.item_type import load_item_types
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.reach import LANDING_ZONES, Reach
from tests.unit.infra.assemblies import SHARED
from tests.unit.items.records import LANDED_ONCE, patient, registry_key

pytestmark = pytest.mark.e2e

REGISTRY, READINGS = "watershed-registry", "watershed-site-activity"
SETTINGS = Settings.local(
    "http://127.0.0.1:1", "none", firehose_tables=(REGISTRY, READINGS), fan_out=True, crawl="events"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, StackOutputs]]:
    """Both tables by Firehose, and the fan-out, with the functions' roles enforced; and items that came and went."""
    root = tmp_path_factory.mktemp("deliveries") / ".watershed" / "emulator"
    with Emulator(root, Options(enforce_iam=True)) as emulator:
        outputs = deploy(emulator, SETTINGS, out=SHARED / "deliveries.cdk.out")
        _make_history(emulator.client("dynamodb"))
        yield emulator, outputs


def _make_history(dynamodb: Any) -> None:
    def put(table: str, **item: dict[str, Any]) -> None:
        dynamodb.put_item(TableName=table, Item=item)

    put(REGISTRY, **registry_key("p1"), **patient(riskScore={"N": "12345678901234567890.123456789"}))
    put(REGISTRY, **registry_key("p1"), **patient(name={"S": 'a "quoted" <$.eventID> ü'}))
    # Turns from one type into another: two lines, of which Firehose takes one.
    put(REGISTRY, **registry_key("p1"), itemType={"S": "Address"}, blob={"B": b"\x00\xff"})
    put(REGISTRY, **registry_key("p2"), itemType={"S": "Unheard-of"})
    dynamodb.delete_item(TableName=REGISTRY, Key=registry_key("p1"))
    for number in range(12):
        put(
            READINGS,
            siteId={"S": f"s/{number % 3}"},
            createdAtTime={"N": str(1_772_000_000_000 + number)},
            patientId={"S": f"p-{number % 2}"},
        )


def _streamed(emulator: Emulator, table: str) -> list[dict[str, Any]]:
    """The stream's records as a function gets them: the API's, with its times as numbers."""
    streams = emulator.client("dynamodbstreams")
    arn = emulator.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records: Any = streams.get_records(ShardIterator=iterator)["Records"]
    for each in records:
        change = each["dynamodb"]
        change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
    # Binary values are bytes in the API's answer and base64 in a record.
    return [json.loads(json.dumps({**each, "eventSourceARN": arn}, default=_base64)) for each in records]


def _base64(value: bytes) -> str:
    from base64 import b64encode

    return b64encode(value).decode()


def _landed(emulator: Emulator, bucket: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What lies in the landing zone: by partition and event, all but when and by what it landed."""
    s3: Any = emulator.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    found = {}
    for key in (each["Key"] for each in listed):
        assert key.endswith(".ndjson.gz"), key
        body = gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        for line in body.splitlines():
            found.update(_envelope(key, line))
    return found


def _envelope(key: str, line: bytes) -> dict[tuple[str, str], dict[str, Any]]:
    envelope = json.loads(line, parse_float=str, parse_int=str)
    del envelope["landed_at"], envelope["landed_by"]
    return {(key.rpartition("/")[0], envelope["event_id"]): envelope}


_LINES = 18
"""What lands of the history."""


def _await_landing(emulator: Emulator, outputs: StackOutputs) -> None:
    until(lambda: len(_landed(emulator, outputs["LandingBucket"])) >= _LINES)


def test_firehose_lands_what_the_direct_sink_lands(stack: tuple[Emulator, StackOutputs]) -> None:
    emulator, outputs = stack
    records = [each for table in (REGISTRY, READINGS) for each in _streamed(emulator, table)]
    assert len(records) == 17
    direct: dict[tuple[str, str], dict[str, Any]] = {}
    for each in plan_batch(records, ItemTypeIndex(load_item_types().values()), LANDED_ONCE).objects:
        for line in each.lines:
            direct.update(_envelope(each.key, line))
    assert len(direct) == _LINES, "one change concerns two types"
    _await_landing(*stack)
    assert _landed(emulator, outputs["LandingBucket"]) == direct


def test_the_fan_out_keeps_each_patients_last_activity(stack: tuple[Emulator, StackOutputs]) -> None:
    emulator, _ = stack
    dynamodb: Any = emulator.client("dynamodb")

    def activity() -> dict[str, str]:
        items = dynamodb.scan(TableName="watershed-patient-activity")["Items"]
        return {each["patientId"]["S"]: each["lastChangeType"]["S"] for each in items}

    until(lambda: {"p-0", "p-1"} <= set(activity()))
    told = activity()
    assert told["p-0"] == told["p-1"] == "SiteActivityInsert"
    # All within a second, in which the event id decides: but one of the registry's changes it was.
    assert told["p1"] in {"PatientInsert", "PatientModify", "PatientRemove", "AddressModify", "AddressRemove"}
    assert set(told) == {"p-0", "p-1", "p1"}


def _crawled(emulator: Emulator, name: str) -> dict[str, Any]:
    """What the log of a crawl tells, once it has ended."""
    glue: Any = emulator.client("glue")
    glue.start_crawler(Name=name)
    until(lambda: glue.get_crawler(Name=name)["Crawler"]["State"] == "READY")
    last = glue.get_crawler(Name=name)["Crawler"]["LastCrawl"]
    assert last["Status"] == "SUCCEEDED", last
    log = state_dir(emulator) / "logs" / f"{last['LogStream']}.log"
    return dict(json.loads(log.read_text()))


def test_crawls_after_the_first_go_by_what_s3_tells(stack: tuple[Emulator, StackOutputs]) -> None:
    emulator, outputs = stack
    sqs: Any = emulator.client("sqs")
    url = sqs.get_queue_url(QueueName="watershed-landing-items-events")["QueueUrl"]
    waiting = "ApproximateNumberOfMessages"

    def told() -> int:
        reply = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[waiting])
        return int(reply["Attributes"][waiting])

    _await_landing(*stack)  # S3 tells of what lands later, too
    assert _crawled(emulator, "watershed-landing-items")["messages"] is None, "everything is listed at first"
    key = (
        "items/table_name=watershed-registry/item_type=Address/year=2031/month=01/day=01/hour=00/a.ndjson.gz"
    )
    emulator.client("s3").put_object(Bucket=outputs["LandingBucket"], Key=key, Body=gzip.compress(b"{}\n"))
    until(lambda: told() > 0)
    by_events = _crawled(emulator, "watershed-landing-items")
    assert by_events["messages"] >= 1
    added = {each["table"]: each["added"] for each in by_events["tables"]}
    assert added["address_change"] >= 1
    assert told() == 0
    # The other crawler's queue is its own: it was told only S3's test, and that it is listed first holds for it too.
    assert _crawled(emulator, "watershed-landing-fhir")["messages"] is None
    assert _crawled(emulator, "watershed-landing-fhir")["messages"] == 0


_LANDING = {"put landing/items", "put landing/quarantine/source=items"}
_CONSUMED = ("changes-address", "changes-patient", "changes-site-activity")
REACH: dict[str, set[str]] = {
    "partition-item-changes": _LANDING,
    "land-parked-changes": {*_LANDING, "see parked-changes", "consume parked-changes"},
    "shape-item-change": set(),
    "record-patient-activity": {
        "put patient-activity",
        *(f"{verb} {queue}" for verb in ("see", "consume") for queue in _CONSUMED),
    },
    "item-changes": {
        *_LANDING,
        "list landing/quarantine",
    },  # Firehose asks for a right to list, of the whole bucket
    "land-registry": {"send parked-changes"},
    "crawl": {
        *(f"get landing/{zone}" for zone in LANDING_ZONES),
        *(
            f"{verb} landing-{source}-events{end}"
            for verb in ("see", "consume")
            for source in ("items", "fhir")
            for end in ("", "-dlq")
        ),
        "list landing/quarantine",
        "list landing tables",
    },
    "tell-registry": {"send tell-registry-dlq", "put events watershed-item-changes"},
}


def test_each_role_of_the_deliveries_reaches_what_its_work_needs_and_nothing_else(
    stack: tuple[Emulator, StackOutputs],
) -> None:
    reach = Reach(stack[0], SETTINGS)
    assert {role: reach.of(role) for role in REACH} == REACH
