"""Faults that tests ask for through `/_simulator/faults`. They last until used up or reset."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from local.healthlake.errors import ValidationError


@dataclass(frozen=True)
class Faults:
    """Counts are of the next calls or jobs that shall go wrong; seconds are how long each shall take."""

    throttle: int = 0
    """The next N calls are answered ThrottlingException."""
    server_errors: int = 0
    """The next N calls are answered InternalServerException, without effect."""
    lost_replies: int = 0
    """The next N `$export` calls take effect, but the connection drops before the reply."""
    fail_exports: int = 0
    """The next N export jobs end FAILED."""
    incomplete_exports: int = 0
    """The next N export jobs end COMPLETED_WITH_ERRORS, one resource type reported in `error` and absent."""
    corrupt_lines: int = 0
    """The next N files get one line cut in half."""
    silent_exports: int = 0
    """The next N export jobs announce nothing on EventBridge."""
    export_seconds: float = 0.0
    """Every export job takes this long."""
    search_lag_seconds: float = 0.0
    """Search sees changes only when they are this old."""
    report_deletes: bool = False
    """Incremental exports get the `deleted` section of the Bulk Data standard (HealthLake's have none)."""


_COUNTED = frozenset(field.name for field in fields(Faults) if type(field.default) is int)


class FaultPlan:
    """The faults still to come; thread-safe."""

    def __init__(self) -> None:
        self._faults = Faults()
        self._lock = threading.Lock()

    @property
    def now(self) -> Faults:
        """What is planned at this moment."""
        return self._faults

    def plan(self, changes: Mapping[str, object]) -> Faults:
        """Set the named faults. Raises ValidationError for a name or a value that is none."""
        known = {field.name: type(field.default) for field in fields(Faults)}
        for name, value in changes.items():
            kind = known.get(name)
            if kind is None:
                raise ValidationError(f"no fault {name!r}; there are {', '.join(known)}")
            good = isinstance(value, kind) or (kind is float and isinstance(value, int))
            if not good or (isinstance(value, bool) and kind is not bool):
                raise ValidationError(f"fault {name} takes a {kind.__name__}")
        with self._lock:
            self._faults = replace(self._faults, **changes)  # type: ignore[arg-type]  # checked above
            return self._faults

    def use(self, name: str) -> bool:
        """True where the counted fault is planned; one fewer remains then."""
        if name not in _COUNTED:
            raise ValueError(f"{name} is not counted")
        with self._lock:
            left = int(asdict(self._faults)[name])
            if left > 0:
                self._faults = replace(self._faults, **{name: left - 1})  # type: ignore[arg-type]  # a counted field
            return left > 0

    def reset(self) -> Faults:
        """No faults."""
        with self._lock:
            self._faults = Faults()
            return self._faults
