"""Measures the capture of item changes; ``python -m benchmarks.items [--json] [--full] [--no-merge] [--merge ROWS …]``.

- the sink's pure core beside boto3's ``TypeDeserializer`` and ``json``, on one core, in turns;
- its peak memory for a batch of 10,000 records and 6 MB;
- size and cold import of the function's zip;
- landing objects that a million changes of a day become, for 1 and 50 partitions;
- records a second through the deployed handler into an emulator's S3 (``--endpoint``, where one is up);
- the seconds that ``conform_items`` takes to merge 10,000 changes into tables of several sizes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import Envelope, ItemTypeIndex, Landed, item_change
from schemas import load_item_types
from schemas.item_type import ItemType

Record = dict[str, Any]
LANDED = Landed(datetime(2026, 11, 25, tzinfo=UTC), "benchmark:1")
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/{}/stream/2026-11-25T00:00:00.000"
CHANGES = 10_000
ROUNDS = 7


def registry_change(dice: random.Random, number: int) -> Record:
    """A registry patient of whom one attribute changed, with both images: some 1.3 KB."""
    keys = {"id": {"S": f"patient-{number:08d}"}, "sk": {"S": "PATIENT"}}
    old: dict[str, Any] = {
        **keys,
        "itemType": {"S": "Patient"},
        "status": {"S": dice.choice(["enrolled", "screening", "withdrawn"])},
        "enrolledAt": {"S": f"2026-0{dice.randint(1, 9)}-1{dice.randint(0, 9)}T08:15:00Z"},
        "riskScore": {"N": f"{dice.randint(0, 99)}.{dice.randint(0, 9999):04d}"},
        "tags": {"SS": ["cohort-a", "diabetes", "remote"]},
        "contact": {"M": {"phone": {"S": "+41 00 000 00 00"}, "consented": {"BOOL": True}}},
        "visits": {"L": [{"N": str(dice.randint(1, 400))} for _ in range(4)]},
        "note": {"S": "x" * 120},
    }
    new = {**old, "riskScore": {"N": f"{dice.randint(0, 99)}.{dice.randint(0, 9999):04d}"}}
    return _record("watershed-registry", number, keys, new, old, 1_795_600_000 + number // 50)


def reading(dice: random.Random, number: int, sites: int) -> Record:
    """A site's reading, spread over a day of a million: an insert of some 500 bytes."""
    at = 1_795_564_800 + number * 86_400 / 1_000_000
    keys = {
        "siteId": {"S": f"site-{dice.randrange(sites)}"},
        "createdAtTime": {"N": str(int(at * 1000))},
    }
    new = {**keys, "valueOne": {"N": f"{dice.random():.6f}"}, "valueTwo": {"N": str(dice.randint(0, 999))}}
    return _record("watershed-site-activity", number, keys, new, None, int(at))


def _record(table: str, number: int, keys: Any, new: Any, old: Any, at: int) -> Record:
    change = {
        "ApproximateCreationDateTime": at,
        "Keys": keys,
        "NewImage": new,
        "SequenceNumber": str(10**20 + number),
        "SizeBytes": 500,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY" if old else "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "eventSourceARN": STREAM.format(table),
        "dynamodb": {**change, **({"OldImage": old} if old else {})},
    }


def core_figures() -> dict[str, float]:
    """Records a second of core time, ours and boto3's way, the median of rounds taken in turns."""
    dice = random.Random(1)
    batches = [
        json.dumps([registry_change(dice, start + number) for number in range(_CORE_BATCH)])
        for start in range(0, 5_000, _CORE_BATCH)
    ]
    item_types = list(load_item_types().values())
    index = ItemTypeIndex(item_types)

    def ours(record: Record) -> Envelope:
        return item_change(record, index, LANDED).envelopes[0]

    def theirs(record: Record) -> tuple[str, bytes]:
        return _boto3_envelope(record, item_types)

    first = json.loads(batches[0])[0]
    assert _meaning(ours(first).line) == _meaning(theirs(first)[1])
    assert ours(first).partition == theirs(first)[0]
    mine, peer = [], []
    for _ in range(ROUNDS):
        mine.append(_core_seconds(ours, batches))
        peer.append(_core_seconds(theirs, batches))
    return {
        "core_records_per_second": round(5_000 / statistics.median(mine)),
        "boto3_records_per_second": round(5_000 / statistics.median(peer)),
        "core_vs_boto3_speedup": round(statistics.median(peer) / statistics.median(mine), 2),
    }


_CORE_BATCH = 100
"""Records in a batch for the core: a window of five seconds holds 58 at a million changes a day."""


def _core_seconds(envelope: Callable[[Record], object], batches: Sequence[str]) -> float:
    """Core time for all batches, each parsed before, as Lambda's runtime does it, and not on the clock."""
    seconds = 0.0
    for batch in batches:
        records = json.loads(batch)
        start = time.process_time()
        for record in records:
            envelope(record)
        seconds += time.process_time() - start
    return seconds


class _Plain(json.JSONEncoder):
    """Decimals keep their digits as texts: ``json`` cannot write them as numbers without a float."""

    def default(self, o: Any) -> Any:
        if isinstance(o, Decimal):
            return str(o)
        if isinstance(o, set):
            return sorted(o)
        return base64.b64encode(bytes(o)).decode()


def _boto3_envelope(record: Record, item_types: Sequence[ItemType]) -> tuple[str, bytes]:
    """The same partition and line the usual way: ``TypeDeserializer``, then ``json``."""
    change = record["dynamodb"]
    images = {
        name: {key: _deserialize(value) for key, value in change[name].items()}
        for name in ("Keys", "NewImage", "OldImage")
        if name in change
    }
    table_name = record["eventSourceARN"].split("/")[1]
    image = images.get("NewImage") or images["OldImage"]
    item_type = next(each for each in item_types if each.table_name == table_name and each.matches(image))
    changed_at = datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC)
    envelope = {
        "event_id": record["eventID"],
        "event_name": record["eventName"],
        "sequence_number": change["SequenceNumber"],
        "changed_at": changed_at.isoformat(),
        "table_name": table_name,
        "item_type": item_type.name,
        "keys": images["Keys"],
        "new_image": images.get("NewImage"),
        "old_image": images.get("OldImage"),
        "expired": False,
        "landed_at": LANDED.at.isoformat(),
        "landed_by": LANDED.by,
    }
    hour = changed_at.strftime("year=%Y/month=%m/day=%d/hour=%H/")
    line = json.dumps(envelope, cls=_Plain, sort_keys=True).encode()
    return f"items/table_name={table_name}/item_type={item_type.name}/{hour}", line


def _deserialize(value: Mapping[str, Any]) -> Any:
    from boto3.dynamodb.types import TypeDeserializer

    global _deserializer  # noqa: PLW0603 - made once, as a function would
    _deserializer = _deserializer or TypeDeserializer()
    return _deserializer.deserialize(value)


_deserializer: Any = None


def _meaning(line: bytes) -> Any:
    """An envelope's images, numbers as texts, to see that both ways say the same."""
    read = json.loads(line, parse_float=str, parse_int=str)
    return [read[name] for name in ("keys", "new_image", "old_image")]


_PEAK = """
import json, resource, sys
from benchmarks.items import LANDED, memory_batch
from lambdas.land_item_changes.sink import plan_batch
from lambdas.shared.item_change import ItemTypeIndex
from schemas import load_item_types
event = memory_batch()
index = ItemTypeIndex(load_item_types().values())
bodies = [each.body() for each in plan_batch(json.loads(event)["Records"], index, LANDED).objects]
print(len(event), sum(map(len, bodies)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory_batch() -> str:
    """An event of 10,000 records, some 6 MB of JSON."""
    dice = random.Random(2)
    return json.dumps({"Records": [reading(dice, number, 10) for number in range(10_000)]})


def memory_figures() -> dict[str, float]:
    """Peak resident memory of a fresh process that lands the largest batch, interpreter and event included."""
    said = subprocess.run(
        [sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True, cwd=Path.cwd()
    ).stdout.split()
    return {"batch_mb": round(int(said[0]) / 2**20, 2), "sink_peak_mb": round(int(said[2]) / 1024, 1)}


_IMPORT = """
import sys, time
sys.path.insert(0, sys.argv[1])
start = time.perf_counter()
import lambdas.land_item_changes.handler as handler
handler.item_type_index()
print((time.perf_counter() - start) * 1000)
"""


def package_figures() -> dict[str, float]:
    """Size of the zip, and the import from it in a fresh interpreter: the median of seven, first one apart."""
    from infra.packaging import package_function, zip_folder

    with tempfile.TemporaryDirectory(prefix="watershed-bench-") as scratch:
        folder = package_function("land_item_changes", Path(scratch))
        archive = Path(scratch) / "function.zip"
        zip_folder(folder, archive)
        took = [
            float(
                subprocess.run(
                    [sys.executable, "-c", _IMPORT, str(folder)],
                    capture_output=True,
                    text=True,
                    check=True,
                    cwd=scratch,
                    # Lambda unpacks the zip and has no bytecode of it either.
                    env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LANDING_BUCKET": "none"},
                ).stdout
            )
            for _ in range(ROUNDS)
        ]
        return {
            "import_ms": round(statistics.median(took)),
            "zip_mb": round(archive.stat().st_size / 2**20, 2),
        }


def object_figures() -> dict[str, int]:
    """Landing objects for a day's million changes: batches as the mapping cuts them, one shard.

    A million a day is 58 in a window of 5 seconds, far from the batch size.
    """
    from infra.landing import BATCH_SIZE
    from infra.settings import Settings

    index = ItemTypeIndex(load_item_types().values())
    found = {}
    for sites in (1, 50):
        dice = random.Random(3)
        sampled = 50_000  # a twentieth of the day, scaled: the rate is the same all day
        records = (reading(dice, number, sites) for number in range(sampled))
        objects = sum(
            len(plan_batch(batch, index, LANDED).objects)
            for batch in _batches(records, BATCH_SIZE, Settings.landing_window_seconds)
        )
        found[str(sites)] = objects * (1_000_000 // sampled)
    return found


def _batches(records: Iterator[Record], size: int, seconds: int) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for each in records:
        at = each["dynamodb"]["ApproximateCreationDateTime"]
        if batch and (
            len(batch) == size or at - batch[0]["dynamodb"]["ApproximateCreationDateTime"] >= seconds
        ):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch


def end_to_end_figures(endpoint: str) -> dict[str, int]:
    """Records a second through the handler, in this process, into the S3 at ``endpoint``."""
    import boto3

    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "test")
    os.environ |= {"LANDING_BUCKET": "watershed-benchmark", "LOG_LEVEL": "ERROR"}
    from lambdas.land_item_changes.handler import handler

    boto3.client("s3").create_bucket(Bucket="watershed-benchmark")
    dice = random.Random(int(time.time()))
    first = dice.randrange(10**9)  # other names than those of earlier runs
    batches = [
        [registry_change(dice, first + start + number) for number in range(500)]
        for start in range(0, 10_000, 500)
    ]
    start = time.perf_counter()
    for batch in batches:
        if handler({"Records": batch}, None)["batchItemFailures"]:
            raise SystemExit(f"the S3 at {endpoint} refused a write")
    return {"end_to_end_records_per_second": round(10_000 / (time.perf_counter() - start))}


def merge_figures(sizes: Sequence[int]) -> dict[str, float]:
    """Seconds that a run of ``conform_items`` takes for 10,000 changes, half of them of items that exist."""
    from benchmarks.item_merge import merge_seconds

    return {str(rows): round(seconds, 1) for rows, seconds in merge_seconds(sizes, CHANGES).items()}


def figures(chosen: argparse.Namespace) -> dict[str, Any]:
    """All that the command line asks for."""
    found: dict[str, Any] = {**core_figures(), **memory_figures(), **package_figures()}
    found["objects_per_million"] = object_figures()
    if chosen.endpoint:
        found |= end_to_end_figures(chosen.endpoint)
    if not chosen.no_merge:
        sizes = [10_000, 1_000_000, *([10_000_000] if chosen.full else [])]
        found["merge_seconds_by_rows"] = merge_figures(sizes)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--full", action="store_true", help="merge into a table of 10 million rows as well")
    parser.add_argument("--no-merge", action="store_true", help="leave Spark out")
    parser.add_argument("--merge", type=int, nargs="+", metavar="ROWS", help="only merge, into such tables")
    parser.add_argument("--endpoint", help="an emulator, such as http://127.0.0.1:4566")
    chosen = parser.parse_args(argv)
    found = {"merge_seconds_by_rows": merge_figures(chosen.merge)} if chosen.merge else figures(chosen)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<32}{value}")


if __name__ == "__main__":
    main()
