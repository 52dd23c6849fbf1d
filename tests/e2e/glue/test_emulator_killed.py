"""However the emulator ends, nothing of Spark stays behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from local.emulator.process import Emulator
from local.glue.aws import glue_client, s3_client
from tests.conftest import PATIENCE
from tests.e2e.glue.conftest import ARGUMENTS, LAKE, LANDING

pytestmark = [pytest.mark.e2e, pytest.mark.spark]


def descendants(pid: int) -> dict[int, str]:
    """Process id → command line of everything that a process started, directly or not."""
    found: dict[int, str] = {}
    try:
        children = [each for task in Path(f"/proc/{pid}/task").iterdir() for each in _children(task)]
    except FileNotFoundError:
        return found
    for child in children:
        try:
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except FileNotFoundError:
            continue
        found |= descendants(child)
    return found


def _children(task: Path) -> list[int]:
    try:
        return [int(each) for each in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def test_a_killed_emulator_takes_its_spark_along(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator")
    emulator.start()
    try:
        s3, glue = s3_client(emulator.endpoint), glue_client(emulator.endpoint)
        for bucket in (LANDING, LAKE):
            s3.create_bucket(Bucket=bucket)
        glue.create_job(
            Name="watershed-curate",
            Role="arn:aws:iam::000000000000:role/jobs",
            Command={"Name": "glueetl", "ScriptLocation": "s3://assets/curate.py"},
            DefaultArguments=ARGUMENTS,
        )
        glue.create_workflow(Name="w")
        glue.create_trigger(
            Name="start", WorkflowName="w", Type="ON_DEMAND", Actions=[{"JobName": "watershed-curate"}]
        )
        glue.start_workflow_run(Name="w")
        pid = emulator.pid
        assert pid is not None
        deadline = time.monotonic() + PATIENCE
        while not any("java" in line for line in descendants(pid).values()):
            assert time.monotonic() < deadline, "no Spark was started"
            time.sleep(0.2)
        spark = descendants(pid)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while left := [line for each, line in spark.items() if _runs(each)]:
            assert time.monotonic() < deadline, f"still running: {left}"
            time.sleep(0.2)
    finally:
        emulator.stop()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
