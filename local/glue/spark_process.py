"""The worker's process as the host sees it: started, asked, waited for, ended without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.glue.errors import WorkerLost
from local.glue.job import REPOSITORY

_START_SECONDS = 120.0
_END_SECONDS = 20.0


@dataclass(frozen=True)
class JobAnswer:
    state: str
    error: str
    seconds: float


class SparkProcess:
    """One worker process and its JVM.

    Parameters
    ----------
    settings : of Spark; a worker keeps those it was started with
    log : where it and its JVM write
    code : the folder whose ``glue_jobs/`` it runs
    """

    def __init__(self, settings: Mapping[str, str], log: Path, code: Path = REPOSITORY) -> None:
        self.settings = dict(settings)
        self.log = log
        self.killed_for = ""
        log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(str(each) for each in dict.fromkeys((code, REPOSITORY)))
        with log.open("ab") as output:
            # In the emulator's own process group: whoever ends that group ends the worker and its JVM.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.glue.worker"],
                cwd=code,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self._jvm = 0

    def await_ready(self) -> None:
        """Return once Spark is up.

        Raises
        ------
        WorkerLost : it did not come up
        """
        reason = f"Spark did not start in {_START_SECONDS:.0f} s"
        starting = threading.Timer(_START_SECONDS, self.kill, [reason])
        starting.daemon = True
        starting.start()
        try:
            self._jvm = int(self._ask({"settings": self.settings})["jvm_pid"])
        finally:
            starting.cancel()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def run(self, module: str, argv: Sequence[str], conf: Mapping[str, str], log: Path) -> JobAnswer:
        """Run a job, with ``conf`` for this run alone, and wait for its end.

        Raises
        ------
        WorkerLost : the worker ended first; nothing of it runs on
        """
        answer = self._ask({"module": module, "argv": list(argv), "conf": dict(conf), "log": str(log)})
        return JobAnswer(answer["state"], answer["error"], answer["seconds"])

    def kill(self, reason: str) -> None:
        """End it at once; whoever waits in :meth:`run` gets ``reason``."""
        self.killed_for = self.killed_for or reason
        _signal(self._process.pid if self.is_alive() else 0, signal.SIGKILL)
        _signal(self._jvm, signal.SIGKILL)

    def close(self) -> None:
        """End it, asking first."""
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._reap()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (OSError, ValueError):
            line = ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._reap()
        raise WorkerLost(
            self.killed_for or f"The Spark worker ended ({_ended_by(code)}); its log is {self.log}"
        )

    def _reap(self) -> int:
        """Wait for its end, and for its JVM's: that may still be committing, and must not while we push."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        deadline = time.monotonic() + _END_SECONDS
        _signal(self._jvm, signal.SIGKILL)
        while _signal(self._jvm, 0) and time.monotonic() < deadline:
            time.sleep(0.02)
        self._jvm = 0
        return code


def _signal(pid: int, number: int) -> bool:
    """Whether there was such a process."""
    if not pid:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return number != 0 or not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """An orphan that its new parent has not buried yet runs no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _ended_by(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
