"""Rates that HealthLake allows, per data store, as token buckets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from local.healthlake.errors import Throttled

RATES: Final[Mapping[str, float]] = {
    "start_export": 1,
    "start_import": 1,
    "describe_export": 10,
    "search": 100,
    "read": 3_000,
    "write": 3_000,
}
"""Calls per second, from the service's page of quotas; that of imports is not there."""


@dataclass
class _Bucket:
    tokens: float
    at: float


class Quotas:
    """Counts calls; a call over its rate is refused. A bucket holds one second's worth."""

    def __init__(
        self, rates: Mapping[str, float] = RATES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates, self._clock = rates, clock
        self._buckets = {name: _Bucket(max(rate, 1), clock()) for name, rate in rates.items()}
        self._lock = threading.Lock()

    def spend(self, name: str) -> None:
        """Raises Throttled where the rate is used up."""
        with self._lock:
            bucket, rate, now = self._buckets[name], self._rates[name], self._clock()
            bucket.tokens = min(max(rate, 1), bucket.tokens + (now - bucket.at) * rate)
            bucket.at = now
            if bucket.tokens < 1:
                raise Throttled(f"Rate exceeded: {name} {rate:g} per second")
            bucket.tokens -= 1
