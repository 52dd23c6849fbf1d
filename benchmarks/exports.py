"""What exports cost: landing a large file, a change's way to the curated table, and conforming.

    python benchmarks/exports.py [--mb 1000] [--land-mb 1024] [--only land,change,conform] [--json]

- `land_peak_mb`, `land_bytes_through`: the real `land_export` in a process of its own lands one object of
  `--land-mb` on the emulator's S3. Its peak resident memory in MB, interpreter and boto3 included, and the
  bytes of content in the bodies of its requests and replies (S3's XML answers are none).
- `change_to_curated_seconds`: on the local stack, from a write at HealthLake until `curated.patient` shows it,
  by feed; see `FEEDS`.
- `conform_vs_text_copy`: the throughput of `conform_fhir` over `--mb` of NDJSON, as a ratio to
  `spark.read.text` and `write.text` of the same files by the same Spark; both are given per core in the table.
- `one_percent_vs_full`: the time to conform an export of 1 % of these resources, changed, as a ratio to the
  time of the full load.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.exports_data import EXPORT_TIMES, land_population  # noqa: E402

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
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT / ".watershed" / "bench")
    arguments = parser.parse_args()
    parts: Mapping[str, Callable[[], Figures]] = {
        "land": lambda: measure_landing(arguments.land_mb),
        "change": measure_changes,
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


def by_export(stack: Any) -> None:
    """An export as the schedule starts it, followed by the workflow that it starts."""
    from local.commands.pipeline import follow_export, run_export
    from local.terminal import Terminal

    terminal = Terminal(True)
    follow_export(stack, terminal, run_export(stack, terminal, {}))


FEEDS: dict[str, Callable[[Any], None]] = {"export": by_export}
"""By name: what brings a change that was made at HealthLake into the lake, curated table included."""


def measure_changes() -> Figures:
    """Change one patient and wait until the curated table says so, once per feed, on a warm stack."""
    from local.commands.lifecycle import deploy_stack, start_stack
    from local.commands.query import ask
    from local.stack import Stack
    from local.state import State
    from local.terminal import Terminal

    terminal, seconds = Terminal(True), {}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(State(Path(folder) / ".watershed"))
        start_stack(stack, terminal)
        try:
            deploy_stack(stack, terminal)
            stack.fhir.put_all(
                {"resourceType": "Patient", "id": f"p{number}", "gender": "female"} for number in range(100)
            )
            by_export(stack)
            for number, (name, bring) in enumerate(FEEDS.items()):
                started = time.monotonic()
                stack.fhir.put_all([{"resourceType": "Patient", "id": f"p{number}", "gender": "other"}])
                bring(stack)
                sql = f"select gender from curated.patient where resource_key = 'p{number}'"
                while [tuple(row) for row in ask(stack, sql).rows] != [("other",)]:
                    if time.monotonic() - started > 600:
                        raise RuntimeError(f"the feed {name} did not bring the change in ten minutes")
                    time.sleep(0.5)
                seconds[name] = round(time.monotonic() - started, 1)
        finally:
            stack.stop()
    return {"change_to_curated_seconds": seconds}


# Conforming


def measure_conform(mb: int, data: Path) -> Figures:
    """A full load, a copy of its text, and a change of 1 %, in one Spark, the copy first: it warms it."""
    from local.spark import spark_settings, start_spark

    with tempfile.TemporaryDirectory(dir=_made(data)) as folder:
        mirror = Path(folder) / "mirror"
        landed = land_population(mirror / "landing", mb * MB, data)
        settings = spark_settings(mirror, ["landing", "lake"], "s3://lake/warehouse")
        # A job on Glue is warm for its length; the laptop's settings favour short ones.
        settings["spark.driver.extraJavaOptions"] = "-XX:+UseParallelGC -Duser.timezone=UTC"
        spark = start_spark({**settings, "spark.master": f"local[{CORES}]", "spark.driver.memory": "3g"})
        files = [f"s3://landing/{key}" for key in landed.full]
        spark.read.text(files[:1]).write.text("s3://lake/warm")
        copying = _timed(lambda: spark.read.text(files).write.text("s3://lake/copy"))
        landed.commit("full", EXPORT_TIMES[0])
        loading = _timed(lambda: _conform(spark))
        landed.commit("changes", EXPORT_TIMES[1])
        changing = _timed(lambda: _conform(spark))
        spark.stop()
    size = landed.bytes / MB
    return {
        "conform_vs_text_copy": round(copying / loading, 3),
        "one_percent_vs_full": round(changing / loading, 3),
        "_conform_mb_per_second_per_core": round(size / loading / CORES, 1),
        "_text_copy_mb_per_second_per_core": round(size / copying / CORES, 1),
        "_conform_seconds": round(loading, 1),
        "_one_percent_seconds": round(changing, 1),
        "_mb": round(size),
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _conform(spark: Any) -> None:
    from glue_jobs.conform.fhir import conform_fhir
    from glue_jobs.lake.arguments import JobArguments
    from glue_jobs.lake.run import job_run

    with job_run(spark, JobArguments("s3://landing/"), "conform_fhir") as run:
        conform_fhir(run)


def _timed(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
