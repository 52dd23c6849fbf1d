"""`python -m infra.app`: synthesizes the stack into a folder of CloudFormation, without the CDK's own client.

Settings come from `--settings` (JSON), or from `watershed.yaml` and `WATERSHED_*` variables; with none of them,
it is the local stack.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from infra.node import use_packaged_node
from infra.settings import Settings
from infra.settings_file import DEFAULT_FILE, FILE_VARIABLE, aws_settings

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


def given_settings(environment: Mapping[str, str]) -> Settings:
    """Those of an account, where the working folder or the environment says anything; else the local ones."""
    named = {f"WATERSHED_{each.name.upper()}" for each in fields(Settings)} | {FILE_VARIABLE}
    if DEFAULT_FILE.exists() or named & set(environment):
        return aws_settings(environment)
    return Settings.local("http://127.0.0.1:1", "local")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.app", description=__doc__)
    parser.add_argument("--settings", help="the settings as a JSON object")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write into")
    given = parser.parse_args(argv)
    settings = Settings(**json.loads(given.settings)) if given.settings else given_settings(os.environ)
    out = synthesize(settings, given.out.resolve())
    sys.stdout.write(f"{out}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
