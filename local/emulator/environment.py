"""The environment that the emulator, and everything it starts, runs in: nothing of the user's AWS set-up."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
ACCOUNT = "000000000000"
REGION = "us-east-1"

ACCESS_KEY = "test"
"""The emulator takes this key pair for the account's root; it is no secret of anyone's."""

_PASSED_THROUGH = ("JAVA_HOME", "SPARK_HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""Where programs are found. All else of the caller's environment stays outside."""


@dataclass(frozen=True)
class Options:
    """How an emulator behaves.

    Attributes
    ----------
    enforce_iam : whether the roles of functions and state machines are enforced
    wait_scale : factor on the waits of state machines; 1 is real time
    keep_state : whether resources and objects outlive a stop
    log_level : of the emulator's own log
    """

    enforce_iam: bool = False
    wait_scale: float = 1.0
    keep_state: bool = True
    log_level: str = "INFO"


def emulator_environment(
    root: Path, port: int, options: Options, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of an emulator whose state lies in `root`; `inherited` is the caller's own."""
    here = str(Path(sys.executable).parent)
    passed = {name: inherited[name] for name in _PASSED_THROUGH if name in inherited}
    keep = "1" if options.keep_state else "0"
    return {
        **passed,
        "PATH": f"{here}:{inherited.get('PATH', '/usr/local/bin:/usr/bin:/bin')}",
        # An empty home: boto3 in a function must find no profile, no credentials and no endpoint of the
        # user's.
        "HOME": str(root / "home"),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(root / "tmp"),
        "BIND_HOST": HOST,
        # An IP, so that every client addresses buckets by path: `bucket.localhost` does not resolve
        # everywhere.
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "STATE_DIR": str(root / "state"),
        "S3_DATA_DIR": str(root / "s3"),
        "PERSIST_STATE": keep,
        "S3_PERSIST": keep,
        "LAMBDA_EXECUTOR": "local",
        # There is a Docker socket on many machines; nothing here may depend on, or touch, what runs there.
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        # Listeners that nothing here uses, and that two emulators on one machine would quarrel over.
        "IOT_MTLS_ENABLED": "false",
        "SFTP_ENABLED": "false",
        "AUTH": "true" if options.enforce_iam else "false",
        "SFN_WAIT_SCALE": str(options.wait_scale),
        "LOG_LEVEL": options.log_level,
    }
