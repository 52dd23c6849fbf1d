"""A table's stream outlives a stop of the emulator, as the table does.

The emulator saves how far a stream's readers have read, but not the stream. After a start the stream is empty
while its readers wait at their old position: every change until the stream is as long again is passed over.
On AWS a stream keeps its records for 24 hours, whatever its readers do
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
"""

from __future__ import annotations

import copy
from typing import Any

_STORES = {"watershed_stream_records": "_stream_records", "watershed_stream_trimmed": "_stream_trimmed"}


def apply() -> None:
    from ministack.services import dynamodb

    save, load = dynamodb.get_state, dynamodb.load_persisted_state

    def save_with_streams() -> dict[str, Any]:
        state: dict[str, Any] = save()
        return state | {name: copy.deepcopy(getattr(dynamodb, store)) for name, store in _STORES.items()}

    def load_with_streams(state: dict[str, Any] | None) -> None:
        load(state)
        for name, store in _STORES.items():
            saved = (state or {}).get(name)
            if saved:
                getattr(dynamodb, store).update(saved)

    dynamodb.get_state = save_with_streams
    dynamodb.load_persisted_state = load_with_streams
