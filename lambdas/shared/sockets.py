"""Who is connected to the socket, and how to write to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from lambdas.shared.surroundings import setting

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HANDSHAKE_SECONDS: Final = 30
"""A connection that is this young may not be open yet, and is then as if gone: it is on the roster before API Gateway
lets it in, which takes writes to it once `$connect` has ended."""
MAX_WRITERS: Final = 32
"""Connections written to at once: each takes some 20 ms of waiting."""


@dataclass(frozen=True)
class Roster:
    """The table of connections. One is on it until it leaves, is found gone, or its token expires."""

    dynamodb: DynamoDBClient
    table: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def add(self, connection: str, user: str, expires_at: int) -> None:
        """Note a connection of a user, until `expires_at` (seconds since 1970)."""
        item = {
            "connectionId": {"S": connection},
            "user": {"S": user},
            "expiresAt": {"N": str(expires_at)},
            "connectedAt": {"N": str(int(self.now().timestamp()))},
        }
        self.dynamodb.put_item(TableName=self.table, Item=item)

    def remove(self, connection: str) -> None:
        """Forget a connection; one that is not there is no error."""
        self.dynamodb.delete_item(TableName=self.table, Key={"connectionId": {"S": connection}})

    def remove_gone(self, connection: str) -> None:
        """Forget a connection that was found gone, but for one so young that it may only be about to open."""
        try:
            self.dynamodb.delete_item(
                TableName=self.table,
                Key={"connectionId": {"S": connection}},
                ConditionExpression="attribute_not_exists(connectedAt) or connectedAt < :opening",
                ExpressionAttributeValues={
                    ":opening": {"N": str(int(self.now().timestamp()) - HANDSHAKE_SECONDS)}
                },
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def connections(self) -> Iterator[str]:
        """Those whose token is good: DynamoDB may take days to remove the others."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.table,
            FilterExpression="expiresAt > :now",
            ExpressionAttributeValues={":now": {"N": str(int(self.now().timestamp()))}},
            ProjectionExpression="connectionId",
        )
        for page in pages:
            for item in page["Items"]:
                yield item["connectionId"]["S"]


@dataclass(frozen=True)
class Sockets:
    """Writes to connections."""

    client: Any
    roster: Roster

    def post(self, connection: str, text: bytes) -> bool:
        """Whether it was taken; a connection that is gone is taken off the roster, unless it may
        be about to open. Raises ClientError."""
        try:
            self.client.post_to_connection(ConnectionId=connection, Data=text)
        except self.client.exceptions.GoneException:
            self.roster.remove_gone(connection)
            return False
        return True


def make_roster() -> Roster:
    """The roster that CONNECTIONS_TABLE names."""
    return Roster(boto3.client("dynamodb"), setting("CONNECTIONS_TABLE"))


def make_sockets(api_id: str, stage: str) -> Sockets:
    """Where the API's connections are written to: under its own name, or, where all of AWS is elsewhere
    (AWS_ENDPOINT_URL), under that."""
    elsewhere = os.environ.get("AWS_ENDPOINT_URL")
    endpoint = (
        f"{elsewhere}/_aws/execute-api/{api_id}/{stage}"
        if elsewhere
        else f"https://{api_id}.execute-api.{os.environ['AWS_REGION']}.amazonaws.com/{stage}"
    )
    retries: Any = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=2, read_timeout=5, retries=retries, max_pool_connections=MAX_WRITERS)
    client: Any = boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=config)
    return Sockets(client, make_roster())
