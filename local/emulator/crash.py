"""What becomes of the state of an emulator that was killed.

The emulator writes objects to disk as they come, and all else only when it is stopped. After a kill the two
no longer belong together: a deployment would stumble over buckets that no stack knows. So what is left of
it is discarded, and whoever asks next is told to deploy again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_MARK = "unsaved"


def was_killed(root: Path) -> bool:
    """Whether the last emulator on `root` ended without saving; only while none runs."""
    return (root / _MARK).exists()


def discard_what_a_kill_left(root: Path) -> bool:
    """Remove objects, records and the word that a stack is deployed, if the last emulator was killed."""
    if not was_killed(root):
        return False
    for folder in ("s3", "state"):
        shutil.rmtree(root / folder, ignore_errors=True)
    (root.parent / "stack.json").unlink(missing_ok=True)
    return True


def mark_unsaved(root: Path) -> None:
    """From here on there is something to lose."""
    (root / _MARK).touch()


def mark_saved(root: Path) -> None:
    """Everything is on disk."""
    (root / _MARK).unlink(missing_ok=True)
