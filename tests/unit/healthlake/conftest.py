from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.healthlake.client import HealthLakeClient
from local.healthlake.quotas import RATES, Quotas
from local.healthlake.server import Simulator, simulator

QUICK = Quotas({name: rate * 1000 for name, rate in RATES.items()})
"""Rates that a test does not reach."""


@dataclass
class Bucket:
    """Objects and events in memory."""

    objects: dict[str, bytes] = field(default_factory=dict)
    events: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    def put(self, bucket: str, key: str, body: bytes, kms_key: str) -> None:
        assert kms_key
        self.objects[f"s3://{bucket}/{key}"] = body

    def read(self, bucket: str, prefix: str) -> list[bytes]:
        root = f"s3://{bucket}/{prefix}"
        return [body for key, body in sorted(self.objects.items()) if key.startswith(root)]

    def announce(self, detail_type: str, detail: Mapping[str, object]) -> None:
        self.events.append((detail_type, detail))


@dataclass
class Served:
    simulator: Simulator
    client: HealthLakeClient
    bucket: Bucket


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    bucket = Bucket()
    running = simulator(tmp_path, bucket, bucket.announce, resources_per_file=3, quotas=QUICK)
    running.start()
    yield Served(running, HealthLakeClient(running.url), bucket)
    running.stop()
