"""What exports cost: landing a large file, a change's way to the curated table, and conforming.

    python benchmarks/exports.py [--mb 1000] [--land-mb 1024] [--only land,change,conform] [--ways export] [--json]

- `land_peak_mb`, `land_bytes_through`: the real `land_export` in a process of its own lands one object of
  `--land-mb` on the emulator's S3. Its peak resident memory in MB, interpreter and boto3 included, and the
  bytes of content in the bodies of its requests and replies (S3's XML answers are none).
- `change_to_curated_seconds`: on the local stack, from a write at HealthLake until `curated.patient` shows it,
  by an export and by each change feed; see `WAYS`. On the laptop the feeds' windows are a second long.
- `conform_vs_text_copy`: the throughput of `conform_fhir` over `--mb` of NDJSON, as a ratio to
  `spark.read.text` and `write.text` of the same files by the same Spark; both are given per core in the table.
- `one_percent_vs_full`: the time to conform an export of 1 % of these resources, changed, as a ratio to the
  time of the full load. Beside it, the seconds of an export that brings nothing new: what a run costs at least.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.exports_data import EXPORT_TIMES, land_population  # noqa: E402
from benchmarks.timing import timed  # noqa: E402

MB = 1_000_000
CORES = 2
PARTS = ("land", "change", "conform")
Figures = dict[str, Any]


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mb", type=int, default=1000, help="NDJSON to conform, in MB")
    parser.add_argument("--land-mb", type=int, default=1024, help="size of the landed object, in MiB")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to measure, with commas")
    parser.add_argument("--ways", default=",".join(WAYS), help="ways of a change to measure, with commas")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT / ".watershed" / "bench")
    arguments = parser.parse_args()
    parts: Mapping[str, Callable[[], Figures]] = {
        "land": lambda: measure_landing(arguments.land_mb),
        "change": lambda: measure_changes(arguments.ways.split(",")),
        "conform": lambda: measure_conform(arguments.mb, arguments.data),
    }
    figures: Figures = {}
    for name in arguments.only.split(","):
        figures |= parts[name]()
    if arguments.json:
        print(json.dumps({name: value for name, value in figures.items() if not name.startswith("_")}))
        return
    for name, value in figures.items():
        print(f"{name.lstrip('_'):32} {value}")


# Landing

_LANDER = """
import json, re, sys
import botocore.httpsession as http
through = 0
send = http.URLLib3Session.send
def counted(self, request):
    global through
    body = request.body
    through += len(body) if isinstance(body, (bytes, str)) else 0
    reply = send(self, request)
    kind = reply.headers.get("content-type", "")
    if request.method != "HEAD" and "xml" not in kind:
        through += int(reply.headers.get("content-length") or 0)
    return reply
http.URLLib3Session.send = counted
from lambdas.land_export.handler import handler
answer = handler(json.loads(sys.argv[1]), None)
# Not getrusage's: that begins with what the parent held when it forked.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
print(json.dumps({"peak_kb": peak, "through": through, "size": answer["size"], "copied": answer["copied"]}))
"""


def measure_landing(mib: int) -> Figures:
    """Land one object, and one of a thousandth of its size for comparison."""
    from local.emulator.process import Emulator

    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(Path(folder) / "emulator")
        emulator.start()
        try:
            s3 = emulator.client("s3")
            for bucket in ("exports", "landing"):
                s3.create_bucket(Bucket=bucket)
            small = _land(emulator, s3, Path(folder), max(1, mib // 1024))
            large = _land(emulator, s3, Path(folder), mib)
        finally:
            emulator.stop()
    return {
        "land_peak_mb": round(large["peak_kb"] * 1024 / MB, 1),
        "land_bytes_through": large["through"],
        "_land_peak_mb_of_a_small_object": round(small["peak_kb"] * 1024 / MB, 1),
        "_land_seconds": round(large["seconds"], 2),
    }


def _land(emulator: Any, s3: Any, folder: Path, mib: int) -> Figures:
    source = folder / "source"
    line = b'{"resourceType":"Observation","id":"' + b"0" * 4057 + b'"}\n'
    with source.open("wb") as file:
        for _ in range(mib * 1024 * 1024 // len(line)):
            file.write(line)
    key = f"exports/Observation-{mib}.ndjson"
    s3.upload_file(str(source), "exports", key)
    target = f"fhir/resource_type=Observation/export_date=2026-01-01/export_id=e/{mib}.ndjson"
    event = {"land": {"type": "Observation", "url": f"s3://exports/{key}", "key": target}}
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "EXPORTS_BUCKET": "exports",
        "LANDING_BUCKET": "landing",
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    started = time.monotonic()
    command = [sys.executable, "-c", _LANDER, json.dumps(event)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    if figures["size"] != source.stat().st_size or not figures["copied"]:
        raise RuntimeError("the object did not land whole")
    return figures | {"seconds": time.monotonic() - started}


# From a change to the curated table


EXPORT = "export"
WAYS = (EXPORT, "subscription", "cloudtrail")
"""What brings a change that was made at HealthLake into the lake: an export, or a change feed by its name."""
PATIENTS = 100


def measure_changes(ways: Sequence[str]) -> Figures:
    """Change one patient and wait until the curated table says so, on a warm stack of its own for each way."""
    taken = {way: _change_to_curated(way) for way in ways}
    return {
        "change_to_curated_seconds": {way: round(each.curated, 1) for way, each in taken.items()},
        "_until_it_has_landed": {way: round(each.landed, 1) for way, each in taken.items()},
        "_runs_of_the_workflow": {way: each.nodes for way, each in taken.items()},
    }


@dataclass(frozen=True)
class Taken:
    """Seconds from the write until the change had landed, and until the curated table showed it.

    ``nodes`` are the seconds of each job and crawler of the workflow's run.
    """

    landed: float
    curated: float
    nodes: Mapping[str, float]


def _change_to_curated(way: str) -> Taken:
    from local.commands.lifecycle import deploy_stack, start_stack
    from local.commands.pipeline import follow_export, follow_workflow, run_export
    from local.commands.query import ask
    from local.stack import Stack
    from local.state import State
    from local.terminal import Terminal
    from local.workflow_run import start_workflow

    os.environ["WATERSHED_CHANGE_FEED"] = "none" if way == EXPORT else way
    terminal = Terminal(True)
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(State(Path(folder) / ".watershed"))
        start_stack(stack, terminal)
        try:
            landing = deploy_stack(stack, terminal)["LandingBucket"]
            stack.fhir.put_all(
                {"resourceType": "Patient", "id": f"p{number}", "gender": "female"}
                for number in range(PATIENTS)
            )
            for _ in range(2):  # the second is as warm as every later one
                follow_export(stack, terminal, run_export(stack, terminal, {}))
            started = time.monotonic()
            stack.fhir.put({"resourceType": "Patient", "id": "p0", "gender": "other"})
            if way == EXPORT:
                outcome = run_export(stack, terminal, {})
                landed_after = time.monotonic() - started
                run = follow_export(stack, terminal, outcome)
            else:
                _await_landed(stack, landing)
                landed_after = time.monotonic() - started
                run_id = start_workflow(stack.client("glue"), stack.workflow)
                run = follow_workflow(stack, terminal, run_id)
            sql = "select gender from curated.patient where resource_key = 'p0'"
            if [tuple(row) for row in ask(stack, sql).rows] != [("other",)]:
                raise RuntimeError(f"{way} did not bring the change")
            nodes = {node.name: node.seconds for node in run.nodes} if run else {}
            return Taken(landed_after, time.monotonic() - started, nodes)
        finally:
            stack.stop()


def _await_landed(stack: Any, landing: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        listed = stack.client("s3").list_objects_v2(Bucket=landing, Prefix="fhir_changes/")
        bodies = (
            gzip.decompress(stack.client("s3").get_object(Bucket=landing, Key=each["Key"])["Body"].read())
            for each in listed.get("Contents", ())
        )
        if any(b'"other"' in body for body in bodies):
            return
        if time.monotonic() > deadline:
            raise RuntimeError("the feed landed nothing in two minutes")
        time.sleep(0.2)


# Conforming

WARM, WARM_MB = "warm", 10
"""A lake apart, and how much it is given: what is timed is not Java's first use of each class."""


def measure_conform(mb: int, data: Path) -> Figures:
    """A full load, a copy of its text, a change of 1 %, and an export of nothing new, in one warm Spark."""
    from local.spark import spark_settings, start_spark

    with tempfile.TemporaryDirectory(dir=_made(data)) as folder:
        mirror = Path(folder) / "mirror"
        landed = land_population(mirror / "landing", mb * MB, data)
        few = land_population(mirror / "landing" / WARM, WARM_MB * MB, data)
        settings = spark_settings(mirror, ["landing", "lake"], "s3://lake/warehouse")
        # A job on Glue is warm for its length; the laptop's settings favour short ones.
        settings["spark.driver.extraJavaOptions"] = "-XX:+UseParallelGC -Duser.timezone=UTC"
        settings |= {
            name.replace("catalog.lake", f"catalog.{WARM}"): value.replace("warehouse", WARM)
            for name, value in settings.items()
            if name.startswith("spark.sql.catalog.lake")
        }
        spark = start_spark({**settings, "spark.master": f"local[{CORES}]", "spark.driver.memory": "3g"})
        spark.read.text([f"s3://landing/{WARM}/{key}" for key in few.full]).write.text("s3://lake/copied")
        for export, submitted in zip(("full", "changes"), EXPORT_TIMES, strict=True):
            few.commit(export, submitted)
            _conform(spark, f"s3://landing/{WARM}/", WARM)
        files = [f"s3://landing/{key}" for key in landed.full]
        copying = timed(spark, lambda: spark.read.text(files).write.text("s3://lake/copy"))
        landed.commit("full", EXPORT_TIMES[0])
        loading = timed(spark, lambda: _conform(spark))
        landed.commit("changes", EXPORT_TIMES[1])
        changing = timed(spark, lambda: _conform(spark))
        landed.files["again"] = landed.files["changes"]
        landed.commit("again", EXPORT_TIMES[1])
        repeating = timed(spark, lambda: _conform(spark))
        spark.stop()
    size = landed.bytes / MB
    return {
        "conform_vs_text_copy": round(copying.seconds / loading.seconds, 3),
        "one_percent_vs_full": round(changing.seconds / loading.seconds, 3),
        "_mb": round(size),
        "_conform_mb_per_second_per_core": round(size / loading.seconds / CORES, 1),
        "_text_copy_mb_per_second_per_core": round(size / copying.seconds / CORES, 1),
        "_text_copy": copying,
        "_full_load": loading,
        "_one_percent": changing,
        "_nothing_new": repeating,
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _conform(spark: Any, landing: str = "s3://landing/", catalog: str = "lake") -> None:
    from glue_jobs.conform.fhir import conform_fhir
    from glue_jobs.lake.arguments import JobArguments
    from glue_jobs.lake.run import job_run

    with job_run(spark, JobArguments(landing, catalog), "conform_fhir") as run:
        conform_fhir(run)


if __name__ == "__main__":
    main()
