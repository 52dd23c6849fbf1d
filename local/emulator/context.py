"""Inside the emulator's process: where it runs, and the one Glue host, made when the first run asks for
it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from local.emulator.glue_host import GlueHost


@dataclass
class _Launch:
    root: Path
    endpoint_url: str
    host: GlueHost | None = None


_launch: _Launch | None = None
_making_host = threading.Lock()


def launched(root: Path, endpoint_url: str) -> None:
    """Record where this process keeps its state and answers; once, before the emulator is imported."""
    global _launch  # noqa: PLW0603 - one emulator per process
    _launch = _Launch(root, endpoint_url)


def _current() -> _Launch:
    if _launch is None:
        raise RuntimeError(
            "The emulator's patches work only in a process started by python -m local.emulator"
        )
    return _launch


def glue_host() -> GlueHost:
    """Whoever runs jobs, crawls and workflows; imported late, since most deployments never start one."""
    launch = _current()
    with _making_host:
        if launch.host is None:
            from local.glue.service import GlueHost as LocalGlueHost

            launch.host = LocalGlueHost(launch.endpoint_url, launch.root.parent)
        return launch.host


def warm_up() -> None:
    """Make the host ready for its first job, on a thread: this is called where a signal is handled."""
    threading.Thread(target=lambda: glue_host().warm_up(), name="glue-warm-up", daemon=True).start()


def close() -> None:
    """Stop what the host runs; called once, when the emulator ends."""
    if _launch is not None and _launch.host is not None:
        _launch.host.close()
