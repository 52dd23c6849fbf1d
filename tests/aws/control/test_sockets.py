"""Telling everyone on the roster, on moto's table; the connections themselves are of this test's making."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdas.shared.sockets import Roster, Sockets
from lambdas.socket_publish.handler import Crier
from tests.conftest import PATIENCE

NOW = datetime(2026, 1, 31, tzinfo=UTC)


class Gone(Exception):
    """As botocore's class of that name."""


class Lines:
    """Connections: `gone` and `busy` do not take what is told, the others do."""

    exceptions = SimpleNamespace(GoneException=Gone)

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.busy: set[str] = set()
        self.heard: dict[str, list[Any]] = {}
        self.together: threading.Barrier | None = None

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:
        if self.together is not None:
            self.together.wait(timeout=PATIENCE)
        if ConnectionId in self.gone:
            raise Gone
        if ConnectionId in self.busy:
            raise ClientError({"Error": {"Code": "LimitExceededException"}}, "PostToConnection")
        self.heard.setdefault(ConnectionId, []).append(json.loads(Data))


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def crier(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crier]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName="roster",
            KeySchema=[{"AttributeName": "connectionId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "connectionId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Crier(Sockets(lines, Roster(dynamodb, "roster", lambda: NOW)))


def _enter(crier: Crier, *names: str, seconds: int = 3600, ago: int = 60) -> None:
    roster = replace(crier.sockets.roster, now=lambda: NOW - timedelta(seconds=ago))
    for name in names:
        roster.add(name, "user", int(NOW.timestamp()) + seconds)


def _record(message_id: str, body: str | None = None) -> dict[str, Any]:
    event = {"id": message_id, "detail-type": "Export Landed", "detail": {"execution": "a:b:one"}}
    return {"messageId": message_id, "body": body or json.dumps(event)}


def test_everyone_is_told_every_message(crier: Crier, lines: Lines) -> None:
    _enter(crier, "a", "b")
    assert list(crier.untold([_record("1"), _record("2")])) == []
    assert {name: [each["id"] for each in heard] for name, heard in lines.heard.items()} == {
        "a": ["1", "2"],
        "b": ["1", "2"],
    }


def test_whoever_is_gone_is_taken_off_the_roster_and_hinders_nobody(crier: Crier, lines: Lines) -> None:
    _enter(crier, "a", "left")
    lines.gone = {"left"}
    assert list(crier.untold([_record("1")])) == []
    assert list(crier.sockets.roster.connections()) == ["a"]
    assert set(lines.heard) == {"a"}


def test_whoever_is_about_to_enter_stays_on_the_roster_and_hears_what_comes_then(
    crier: Crier, lines: Lines
) -> None:
    """A connection is on the roster before it is open, and till then as if gone."""
    _enter(crier, "opening", ago=1)
    lines.gone = {"opening"}
    assert list(crier.untold([_record("1")])) == []
    lines.gone = set()
    assert list(crier.untold([_record("2")])) == []
    assert [each["id"] for each in lines.heard["opening"]] == ["2"]


def test_a_message_that_somebody_did_not_take_comes_again_and_the_others_do_not(
    crier: Crier, lines: Lines
) -> None:
    _enter(crier, "a", "b")
    assert list(crier.untold([_record("1", "no event"), _record("2")])) == ["1"]
    lines.busy = {"b"}
    assert list(crier.untold([_record("3")])) == ["3"]
    assert [each["id"] for each in lines.heard["a"]] == ["2", "3"]


def test_whose_token_has_expired_is_told_nothing_more(crier: Crier, lines: Lines) -> None:
    _enter(crier, "a")
    _enter(crier, "late", seconds=-1)
    assert list(crier.untold([_record("1")])) == []
    assert set(lines.heard) == {"a"}


def test_many_are_told_at_once(crier: Crier, lines: Lines) -> None:
    """Each of these waits for all others."""
    _enter(crier, *(f"c{n}" for n in range(16)))
    lines.together = threading.Barrier(16)
    assert list(crier.untold([_record("1")])) == []
    assert len(lines.heard) == 16


def test_nobody_there_is_no_failure(crier: Crier) -> None:
    assert list(crier.untold([_record("1")])) == []
