"""`python -m infra.app`: synthesizes the stack into a folder of CloudFormation, without the CDK's own client.

Settings come from `--settings` (JSON), or from `WATERSHED_*` variables; with neither, it is the local stack.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.node import use_packaged_node
from infra.settings import Settings

DEFAULT_OUT = Path(".watershed/cdk.out")

FEATURES = {
    # Access logs are delivered by a bucket policy; the older way needs ACLs, which are off.
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
}


def synthesize(settings: Settings, out: Path) -> Path:
    """Write templates and assets of `settings` into `out`, and return it."""
    use_packaged_node()
    from aws_cdk import App

    from infra.stack import WatershedStack

    app = App(outdir=str(out), context=FEATURES)
    WatershedStack(app, settings, out.parent / f"{out.name}.build")
    app.synth()
    return out


def _settings(given: argparse.Namespace) -> Settings:
    if given.settings:
        return Settings(**json.loads(given.settings))
    if any(name.startswith("WATERSHED_") for name in os.environ):
        return Settings.from_environment(os.environ)
    return Settings.local("http://127.0.0.1:1", "local")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.app", description=__doc__)
    parser.add_argument("--settings", help="the settings as a JSON object")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write into")
    given = parser.parse_args(argv)
    out = synthesize(_settings(given), given.out.resolve())
    sys.stdout.write(f"{out}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
