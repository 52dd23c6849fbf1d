"""`python -m local.emulator`: this process becomes the emulator, patched, in an environment of its own."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from local.emulator import context
from local.emulator.crash import discard_what_a_kill_left, mark_saved, mark_unsaved
from local.emulator.environment import HOST, Options, emulator_environment


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(".watershed/emulator"), help="folder of its state")
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--enforce-iam", action="store_true", help="enforce the roles of functions")
    parser.add_argument("--wait-scale", type=float, default=1.0, help="factor on waits of state machines")
    parser.add_argument("--forget", action="store_true", help="keep nothing beyond this process")
    parser.add_argument("--log-level", default="INFO")
    return parser.parse_args(argv)


_ASKING_SECONDS = 2.0
"""Whoever asks whether an emulator runs holds its lock for far less; one that runs holds it for good."""


def _locked(lock: IO[bytes]) -> bool:
    deadline = time.monotonic() + _ASKING_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def main(argv: Sequence[str]) -> None:
    given = _arguments(argv)
    root: Path = given.root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    lock = (root / "lock").open("wb")
    if not _locked(lock):
        sys.exit(f"An emulator runs already on {root}. Stop it with: watershed down")
    if discard_what_a_kill_left(root):
        sys.stderr.write("The last emulator here was killed: its state is discarded. Run: watershed deploy\n")
    for folder in ("home", "tmp", "state", "s3"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "pid").write_text(str(os.getpid()))
    (root / "port").write_text(str(given.port))
    options = Options(given.enforce_iam, given.wait_scale, not given.forget, given.log_level)
    environment = emulator_environment(root, given.port, options, os.environ)
    os.environ.clear()
    os.environ.update(environment)
    context.launched(root, f"http://{HOST}:{given.port}")
    # The emulator reads its environment on import, and parses sys.argv itself.
    sys.argv = ["ministack"]
    import ministack.app

    from local.emulator.patches import apply_all

    apply_all()
    signal.signal(signal.SIGUSR1, lambda _number, _frame: context.warm_up())
    if options.keep_state:
        mark_unsaved(root)
    try:
        ministack.app.main()
        mark_saved(root)
    finally:
        context.close()


if __name__ == "__main__":
    main(sys.argv[1:])
