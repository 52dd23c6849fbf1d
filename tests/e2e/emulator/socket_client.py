"""A WebSocket client, for tests: the protocol is wsproto's, the waiting is here."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    RejectConnection,
    Request,
    TextMessage,
)

from tests.conftest import PATIENCE


class RefusedError(Exception):
    """Raised when the server does not let the client in."""


class SocketClient:
    """One connection."""

    def __init__(self, endpoint: str, path: str) -> None:
        at = urlsplit(endpoint)
        assert at.hostname is not None
        self._line = socket.create_connection((at.hostname, at.port or 80), timeout=PATIENCE)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._waiting: list[Event] = []
        self._send(Request(host=at.netloc, target=path))
        answer = self._next()
        if isinstance(answer, RejectConnection | CloseConnection):
            self._line.close()
            raise RefusedError
        assert isinstance(answer, AcceptConnection), answer

    def say(self, message: Any) -> None:
        self._send(TextMessage(data=message if isinstance(message, str) else json.dumps(message)))

    def hear(self) -> Any:
        """The next message, parsed."""
        text = ""
        while True:
            event = self._next()
            assert isinstance(event, TextMessage), event
            text += event.data
            if event.message_finished:
                return json.loads(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send(CloseConnection(code=1000))
        self._line.close()

    def _send(self, event: Event) -> None:
        self._line.sendall(self._protocol.send(event))

    def _received(self) -> bytes:
        try:
            return self._line.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing was heard within {PATIENCE:.0f} s") from None

    def _next(self) -> Event:
        while not self._waiting:
            self._protocol.receive_data(self._received() or None)
            self._waiting.extend(self._protocol.events())
        return self._waiting.pop(0)
