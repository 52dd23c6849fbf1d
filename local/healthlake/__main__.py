"""`python -m local.healthlake`: the simulator as a process of its own."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import threading
from pathlib import Path

import boto3
from botocore.config import Config

from local.healthlake import DATASTORE_ID
from local.healthlake.aws import EventBus, S3Objects
from local.healthlake.exports import RESOURCES_PER_FILE
from local.healthlake.launcher import ADDRESS_FILE
from local.healthlake.server import simulator


def main() -> None:
    """Serve until SIGTERM or SIGINT; the address stands in `<state>/healthlake.json` meanwhile."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=options.region
    )  # the emulator asks for credentials and believes any
    config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 5})
    bus = EventBus(
        session.client("events", endpoint_url=options.events_endpoint, config=config),
        options.region,
        options.datastore,
    )
    served = simulator(
        options.state,
        S3Objects(session.client("s3", endpoint_url=options.s3_endpoint, config=config)),
        bus.announce,
        host=options.host,
        port=options.port,
        datastore_id=options.datastore,
        resources_per_file=options.resources_per_file,
    )
    served.tell(bus.trail, bus.notify)
    # Before anybody can know of it: whoever does may stop it at once.
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    served.start()
    address = options.state / ADDRESS_FILE
    draft = address.with_suffix(".new")
    draft.write_text(json.dumps({"pid": os.getpid(), "url": served.url, "datastore_id": options.datastore}))
    draft.replace(address)
    ended.wait()
    served.stop()
    bus.stop()
    address.unlink(missing_ok=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.healthlake", description="Simulate AWS HealthLake."
    )
    parser.add_argument("--state", type=Path, required=True, help="folder for resources and jobs")
    parser.add_argument("--s3-endpoint", required=True, help="where export files are written")
    parser.add_argument("--events-endpoint", required=True, help="EventBridge that job events are sent to")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--datastore", default=DATASTORE_ID)
    parser.add_argument("--resources-per-file", type=int, default=RESOURCES_PER_FILE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
