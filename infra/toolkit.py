"""The AWS CDK's own client, pinned, on the Node.js that comes with the environment: nothing to install.

npm fetches it from its registry at the first use, and checks it against the registry's digest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.node import use_packaged_node

TOOLKIT = "aws-cdk@2.1148.1"
"""Reads the assemblies that the pinned `aws-cdk-lib` writes."""


class ToolkitError(RuntimeError):
    """Raised when the CDK's client failed; it has said why on the terminal."""


Run = Callable[[Sequence[str], Mapping[str, str]], int]


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    # Beside what we say, not in it: standard output may be read by a program.
    return subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode


def toolkit(*arguments: str, region: str, run: Run = _run) -> int:
    """Run `cdk <arguments>` on the terminal, and return its exit code.

    Raises
    ------
    ToolkitError : Node.js or npm is not where it should be
    """
    node = use_packaged_node()
    # The wheel's `npm` is a copy of a link that npm cannot be found from; its program can be.
    npm = next(node.parent.glob("lib/node_modules/npm/bin/npm-cli.js"), None) or next(
        node.glob("node_modules/npm/bin/npm-cli.js"), None
    )
    if npm is None:
        raise ToolkitError(f"There is no npm under {node.parent}; renew the environment: make setup")
    program = node / "node" if (node / "node").exists() else node / "node.exe"
    command = [str(program), str(npm), "exec", "--yes", f"--package={TOOLKIT}", "--", "cdk", *arguments]
    environment = {**os.environ, "AWS_REGION": region, "CDK_DISABLE_CLI_TELEMETRY": "true"}
    return run(command, environment)


def on_stack(command: str, stack: str, out: Path, *more: str) -> list[str]:
    """The toolkit's arguments for a command on a stack of a synthesized folder."""
    return [command, stack, "--app", str(out), *more]
