"""How long a piece of work takes, by the clock and of the processor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Timed:
    """Seconds by the clock; and of the processor, by Spark's Java and this Python, which other work on the machine
    disturbs less."""

    seconds: float
    processor: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, of the processor {self.processor:.1f} s"


def timed(spark: Any, act: Callable[[], object]) -> Timed:
    started, used = time.monotonic(), _processor_seconds(spark)
    act()
    return Timed(time.monotonic() - started, _processor_seconds(spark) - used)


def added(parts: Iterable[Timed]) -> Timed:
    """One after another."""
    listed = list(parts)
    return Timed(sum(each.seconds for each in listed), sum(each.processor for each in listed))


def _processor_seconds(spark: Any) -> float:
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # Of Java those of the children that it waited for as well: Hadoop starts one for each file that it makes.
    return sum(map(int, times[11:15])) / os.sysconf("SC_CLK_TCK") + time.process_time()
