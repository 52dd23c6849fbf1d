"""Start and stop the simulator as a process of its own, found again by its address file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lambdas.shared.healthlake_http import HealthLakeError
from local.healthlake import DATASTORE_ID
from local.healthlake.client import HealthLakeClient
from local.ports import free_port

ADDRESS_FILE: Final = "healthlake.json"
_PORT_FILE: Final = "port"
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 30


class HealthLakeNotRunningError(Exception):
    """Raised when the simulator does not run, or did not come up; says where its log is."""


@dataclass(frozen=True)
class HealthLake:
    """The simulator whose state lies in the folder `state`."""

    state: Path
    s3_endpoint: str
    events_endpoint: str
    datastore_id: str = DATASTORE_ID
    region: str = "us-east-1"
    port: int = 0
    resources_per_file: int = 5_000

    def start(self) -> None:
        """Start it, unless it runs. Raises HealthLakeNotRunningError where it does not come up."""
        if self.healthy():
            return
        self.stop()
        self.state.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self.healthy():
                (self.state / _PORT_FILE).write_text(self.url.rpartition(":")[2])
                return
            time.sleep(0.05)
        process.kill()
        process.wait()
        raise HealthLakeNotRunningError(f"the HealthLake simulator did not come up; see {self.log_path}")

    def stop(self) -> None:
        """Stop it, where it runs."""
        pid = self._address().get("pid")
        if isinstance(pid, int) and self._is_ours(pid):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while self._is_ours(pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            if self._is_ours(pid):
                os.kill(pid, signal.SIGKILL)
        (self.state / ADDRESS_FILE).unlink(missing_ok=True)

    def healthy(self) -> bool:
        """Does it run and answer?"""
        url = self._address().get("url")
        if not isinstance(url, str):
            return False
        try:
            return HealthLakeClient(url, self.datastore_id).healthy()
        except HealthLakeError:
            return False

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`. Raises HealthLakeNotRunningError."""
        url = self._address().get("url")
        if not isinstance(url, str):
            raise HealthLakeNotRunningError("the HealthLake simulator is not up; run `watershed up`")
        return url

    @property
    def log_path(self) -> Path:
        """What it says."""
        return self.state / "healthlake.log"

    def client(self) -> HealthLakeClient:
        """A client of it. Raises HealthLakeNotRunningError."""
        return HealthLakeClient(self.url, self.datastore_id, self.region)

    def _command(self) -> list[str]:
        options = {
            "state": self.state,
            "s3-endpoint": self.s3_endpoint,
            "events-endpoint": self.events_endpoint,
            "datastore": self.datastore_id,
            "region": self.region,
            "port": self.port or free_port(self._last_port()),
            "resources-per-file": self.resources_per_file,
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return [sys.executable, "-m", "local.healthlake", *flags]

    def _last_port(self) -> int:
        """The port of last time, since deployed functions know it; 0 where there was none."""
        try:
            return int((self.state / _PORT_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _address(self) -> dict[str, Any]:
        try:
            address: dict[str, Any] = json.loads((self.state / ADDRESS_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return address

    @staticmethod
    def _is_ours(pid: int) -> bool:
        """Is this process the simulator still? Pids are given again, and a stranger's must not be killed."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            if sys.platform == "linux":
                return False
            listed = subprocess.run(
                ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False
            )
            words = listed.stdout.split()
        return b"local.healthlake" in words
