"""Ports of this machine's loopback for what is to be found there again after a restart."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

_HOST = "127.0.0.1"
CHOSEN_FROM = range(20_000, 32_000)
"""Below those that systems give to outgoing connections, from 32,768 on Linux and 49,152 elsewhere: a port of theirs may
be in use by the time it is listened on, or when it is wanted again."""
_ATTEMPTS = 50


class NoPortError(RuntimeError):
    """Raised when no port can be listened on."""


def free_port(last: int = 0) -> int:
    """The port of last time where it is free, else any that is.

    Raises
    ------
    NoPortError : none of many that were tried is
    """
    for port in _candidates(last):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
    raise NoPortError(f"No free TCP port on {_HOST}. Stop a program that listens there and try again.")


def _candidates(last: int) -> Iterator[int]:
    if last:
        yield last
    yield from random.sample(CHOSEN_FROM, _ATTEMPTS)
