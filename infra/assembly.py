"""What `infra.app` wrote, for whoever deploys it without the CDK's own client; and when it need not be
rewritten."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.packaging import REPOSITORY, fingerprint
from infra.settings import Settings

_SOURCES = ("infra", "crawlers", "schemas", "lambdas", "glue_jobs", "docs/queries")
_FINGERPRINT = ".fingerprint"


class SynthesisError(RuntimeError):
    """Raised when the templates could not be made; the message ends with what the CDK said."""


@dataclass(frozen=True)
class Asset:
    """A file, or a folder that travels as a zip, and the object it becomes."""

    source: Path
    packaging: Literal["file", "zip"]
    bucket: str
    key: str


@dataclass(frozen=True)
class Assembly:
    """A synthesized folder."""

    folder: Path
    stack_name: str

    @property
    def template_file(self) -> Path:
        return self.folder / f"{self.stack_name}.template.json"

    def assets(self) -> Iterator[Asset]:
        """Everything that must be in S3 before the stack is deployed, its template among it."""
        manifest = json.loads((self.folder / f"{self.stack_name}.assets.json").read_text())
        for file in manifest["files"].values():
            for destination in file["destinations"].values():
                yield Asset(
                    self.folder / file["source"]["path"],
                    file["source"]["packaging"],
                    destination["bucketName"],
                    destination["objectKey"],
                )

    def template_asset(self) -> Asset:
        return next(asset for asset in self.assets() if asset.source == self.template_file)


def current_fingerprint(settings: Settings, repository: Path = REPOSITORY) -> str:
    """A hash over all that the templates and packages are made of."""
    digest = hashlib.sha256(json.dumps(settings.to_dict(), sort_keys=True).encode())
    digest.update(fingerprint([repository / name for name in _SOURCES]).encode())
    return digest.hexdigest()


def synthesized(
    settings: Settings,
    out: Path,
    progress: Callable[[str], None] = lambda _message: None,
    repository: Path = REPOSITORY,
) -> Assembly:
    """The templates and assets of `settings` in `out`, made anew only where what they are made of has
    changed. Several processes may ask for the same folder at once: one makes it, the others wait.

    Raises
    ------
    SynthesisError : the CDK refused
    """
    assembly = Assembly(out, settings.prefix)
    with _one_at_a_time(out):
        wanted = current_fingerprint(settings, repository)
        mark = out / _FINGERPRINT
        if mark.exists() and mark.read_text() == wanted and assembly.template_file.exists():
            progress("The templates are up to date")
            return assembly
        progress("Synthesizing the templates")
        # Assets are named for their contents: those of earlier code would pile up.
        shutil.rmtree(out, ignore_errors=True)
        _synthesize(settings, out, repository)
        mark.write_text(wanted)
    return assembly


def _synthesize(settings: Settings, out: Path, repository: Path) -> None:
    # A process of its own: jsii keeps a Node.js process for as long as its host lives.
    done = subprocess.run(
        [sys.executable, "-m", "infra.app", f"--settings={json.dumps(settings.to_dict())}", f"--out={out}"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SynthesisError(f"The templates could not be made:\n{_told(done.stderr)}")


@contextmanager
def _one_at_a_time(out: Path) -> Iterator[None]:
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / f"{out.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _told(stderr: str) -> str:
    """The end of what the CDK wrote: the error itself, without the traceback through jsii."""
    return "\n".join(stderr.strip().splitlines()[-10:])
