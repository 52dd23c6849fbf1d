"""The secret of the de-identified twin on this machine: a file of its own, in place of Secrets Manager's."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path

from local.glue.job import LocalJob

_ARGUMENT = "--deid_secret"


def with_local_secret(job: LocalJob, file: Path) -> LocalJob:
    """The job told of the secret in ``file``, which is made at its first use; a job without a twin as it is."""
    if _ARGUMENT not in job.argv:
        return job
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_suffix(".new")
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
        made.rename(file)
    argv = list(job.argv)
    argv[argv.index(_ARGUMENT) + 1] = file.absolute().as_uri()
    return replace(job, argv=tuple(argv))
