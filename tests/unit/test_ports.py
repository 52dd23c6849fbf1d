"""Which ports the emulator and the simulator take."""

from __future__ import annotations

import socket

import pytest

from local import ports
from local.ports import CHOSEN_FROM, NoPortError, free_port


def test_the_port_of_last_time_is_taken_again_unless_another_listens_there() -> None:
    last = free_port()
    assert free_port(last) == last
    with socket.socket() as other:
        other.bind(("127.0.0.1", last))
        other.listen()
        assert free_port(last) != last
    assert free_port(last) == last


def test_no_port_is_taken_that_systems_give_to_outgoing_connections() -> None:
    assert CHOSEN_FROM.stop <= 32_768
    assert {free_port() for _ in range(20)} <= set(CHOSEN_FROM)


def test_where_none_is_free_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "CHOSEN_FROM", [taken] * 60)
        with pytest.raises(NoPortError, match="Stop a program"):
            free_port(taken)
