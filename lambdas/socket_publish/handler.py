"""Tell everyone who is connected how exports and jobs ended.

Behind a queue that a rule of the event bus fills. Each message goes to all connections, many at a time; those
that are gone are taken off the roster. A message that some connection did not take though it is there is
delivered again, to all: clients know it by its `id`. What is no event goes the same way, into the dead letters.

Environment: CONNECTIONS_TABLE, SOCKET_API_ID, SOCKET_STAGE.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.shared.batch_response import BatchResponse, deliver_again
from lambdas.shared.logger import make_logger
from lambdas.shared.sockets import MAX_WRITERS, Sockets, make_sockets
from lambdas.shared.surroundings import error_type, setting
from lambdas.socket_publish.message import message

logger = make_logger("socket_publish", "message_id", "kind", "told", "gone", "failed", "error")


@dataclass(frozen=True)
class Crier:
    """Tells messages; its parts are passed in so that tests can choose them."""

    sockets: Sockets

    def untold(self, records: list[Mapping[str, Any]]) -> Iterator[str]:
        """Tell a batch; the ids of the messages to deliver again."""
        connections = list(self.sockets.roster.connections())
        with ThreadPoolExecutor(MAX_WRITERS) as writers:
            for record in records:
                if not self._told(record, connections, writers):
                    yield record["messageId"]

    def _told(self, record: Mapping[str, Any], connections: list[str], writers: ThreadPoolExecutor) -> bool:
        try:
            told = message(json.loads(record["body"]))
        except (ValueError, AttributeError):
            logger.error("no event", message_id=record["messageId"])
            return False
        if told is None:
            return True
        text = json.dumps(told).encode()
        taken = list(writers.map(lambda connection: self._post(connection, text), connections))
        logger.info(
            "told",
            message_id=record["messageId"],
            kind=told["type"],
            told=taken.count("told"),
            gone=taken.count("gone"),
            failed=taken.count("failed"),
        )
        return "failed" not in taken

    def _post(self, connection: str, text: bytes) -> str:
        try:
            return "told" if self.sockets.post(connection, text) else "gone"
        except (ClientError, BotoCoreError) as error:
            logger.warning("not taken", error=error_type(error))
            return "failed"


def handler(event: Mapping[str, Any], _context: object) -> BatchResponse:
    """Lambda's entry."""
    return deliver_again(make_crier().untold(event["Records"]))


@cache
def make_crier() -> Crier:
    """The crier that the environment describes; kept while the function is warm."""
    return Crier(make_sockets(setting("SOCKET_API_ID"), setting("SOCKET_STAGE")))
