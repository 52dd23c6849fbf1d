"""HealthLake's events come from outside the emulator, by PutEvents, and are taken.

On AWS a service puts events whose source begins with `aws.` by itself, and PutEvents refuses them from
anybody else, with an error in its answer. The emulator refuses them too, but has no HealthLake: ours runs beside
it.
"""

from __future__ import annotations

from typing import Any

SOURCE = "aws.healthlake"


def apply() -> None:
    from ministack.services import eventbridge

    put = eventbridge._put_events

    def put_with_healthlake(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        entries = data.get("Entries", [])
        ours = bool(entries) and all(each.get("Source") == SOURCE for each in entries)
        return put(data, allow_aws_source=allow_aws_source or ours)

    eventbridge._put_events = put_with_healthlake
