"""The emulator as a process of its own: start, health, stop, and the files that say where it is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.emulator.crash import was_killed
from local.emulator.environment import ACCESS_KEY, HOST, REGION, Options
from local.ports import NoPortError, free_port

REPOSITORY = Path(__file__).parents[2]
_HEALTH = "/_ministack/health"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_LOG_TAIL_LINES = 15


class EmulatorError(RuntimeError):
    """Raised when the emulator does not start, does not answer or is not up; the message says what to do."""


class Emulator:
    """One emulator, whose whole state lies under `root` (`.watershed/emulator`).

    The process outlives the one that started it. It holds a lock on `root/lock` while it lives, so a stale
    pid file, or a pid that another program has now, is never taken for it.
    """

    def __init__(self, root: Path, options: Options | None = None) -> None:
        self.root = root.resolve()
        self.options = options or Options()
        self._process: subprocess.Popen[bytes] | None = None
        self.lost_state = False
        """Whether `start` found that the last emulator here was killed, and so begins with nothing."""

    @property
    def log_file(self) -> Path:
        return self.root / "emulator.log"

    @property
    def port(self) -> int:
        """The port it answers on.

        Raises
        ------
        EmulatorError : it was never started
        """
        try:
            return int((self.root / "port").read_text())
        except (FileNotFoundError, ValueError):
            raise EmulatorError("The emulator is not up. Start it with: watershed up") from None

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process id, or None when it does not run."""
        if not self.is_running():
            return None
        try:
            return int((self.root / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def is_running(self) -> bool:
        """Whether its process lives; not whether it answers yet."""
        try:
            with (self.root / "lock").open("rb") as lock:
                # Shared, so that those who ask do not take each other for the emulator.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def health(self) -> dict[str, Any]:
        """What its health endpoint answers.

        Raises
        ------
        EmulatorError : it does not answer
        """
        try:
            with _DIRECT.open(self.endpoint + _HEALTH, timeout=5) as reply:
                body: dict[str, Any] = json.load(reply)
                return body
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise EmulatorError(
                f"The emulator at {self.endpoint} does not answer ({error}). "
                f"Its log is {self.log_file}; start it anew with: watershed down && watershed up"
            ) from None

    def client(self, service: str) -> Any:
        """A boto3 client of `service` on this emulator; annotate it with the client's type where it
        matters."""
        import boto3.session
        import botocore.session
        from botocore.config import Config

        # Nothing of the user's AWS set-up counts here: not a profile, not a file, not a proxy.
        alone = botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        alone.set_credentials(ACCESS_KEY, ACCESS_KEY)
        session: Any = boto3.session.Session(botocore_session=alone, region_name=REGION)
        return session.client(
            service,
            endpoint_url=self.endpoint,
            config=Config(
                retries={"total_max_attempts": 3},
                s3={"addressing_style": "path"},
                proxies={},
                use_fips_endpoint=False,
                use_dualstack_endpoint=False,
            ),
        )

    def start(self, timeout: float = 60) -> None:
        """Start it, and return when it answers. One that runs already is left as it is.

        Raises
        ------
        EmulatorError : it ended, or did not answer within `timeout` seconds; the message ends with its log
        """
        if self.is_running():
            self._await_health(timeout)
            return
        self.root.mkdir(parents=True, exist_ok=True)
        self.lost_state = was_killed(self.root)
        port = self._free_port()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.emulator", *self._arguments(port)],
                cwd=self.root,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: a Ctrl-C at the terminal is not for it, and stop() can take all of it.
                start_new_session=True,
            )
        (self.root / "port").write_text(str(port))
        self._await_health(timeout)

    def warm_up(self) -> None:
        """Have Spark start now, while there is other work, for jobs that are soon to run. Returns at once."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGUSR1)

    def _arguments(self, port: int) -> list[str]:
        given = self.options
        return [
            f"--root={self.root}",
            f"--port={port}",
            f"--wait-scale={given.wait_scale}",
            f"--log-level={given.log_level}",
            *(["--enforce-iam"] if given.enforce_iam else []),
            *([] if given.keep_state else ["--forget"]),
        ]

    def _free_port(self) -> int:
        """The port of last time where it is free, since queue URLs and `stack.json` hold it; else any."""
        previous = (self.root / "port").read_text() if (self.root / "port").exists() else ""
        try:
            return free_port(int(previous) if previous.isdigit() else 0)
        except NoPortError as problem:
            raise EmulatorError(str(problem)) from None

    def _await_health(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.health()
                return
            except EmulatorError as error:
                ended = self._process is not None and self._process.poll() is not None
                if not ended and time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                what = "ended at once" if ended else f"did not answer within {timeout:.0f} s"
                tail = self._log_tail()
                self.stop()
                raise EmulatorError(
                    f"The emulator {what}. Its log, {self.log_file}, ends:\n{tail}"
                ) from error

    def _log_tail(self) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def stop(self, timeout: float = 60) -> None:
        """End it and everything it started: first asked to save its state, then, past `timeout` s, killed."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + timeout
            while self.is_running() and time.monotonic() < deadline:
                time.sleep(0.05)
            # Its workers are in its process group. That it was the leader a moment ago makes the id ours
            # still.
            _kill_group(pid)
        if self._process is not None:
            if self._process.poll() is None:
                _kill_group(self._process.pid)
            self._process.wait(timeout=timeout)
            self._process = None
        (self.root / "pid").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
