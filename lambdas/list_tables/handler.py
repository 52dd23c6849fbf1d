"""The conformed and curated tables: rows, when each was published, and whether newer rows failed their audit.

Behind `GET /tables` (Lambda proxy integration). Reads the Glue Data Catalog and each Iceberg table's metadata
file; of the tables' rows nothing. A table whose metadata cannot be read is left out, and logged.

Environment: DATABASES, as `<zone>=<database>` separated by commas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from lambdas.list_tables.tables import read_metadata, summary
from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import error_type, setting

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

logger = make_logger("list_tables", "table", "error", "tables")

_READERS: Final = 8
"""Files at once: reading one is nearly all waiting."""


@dataclass(frozen=True)
class Tables:
    """Reads tables; its parts are passed in so that tests can choose them."""

    glue: GlueClient
    s3: S3Client
    databases: Mapping[str, str]

    def listed(self) -> list[dict[str, Any]]:
        """Every table, by name."""
        found = sorted(self._located())
        with ThreadPoolExecutor(_READERS) as readers:
            shown = [each for each in readers.map(self._summary, found) if each is not None]
        logger.info("tables listed", tables=len(shown))
        return shown

    def _located(self) -> Iterator[tuple[str, str]]:
        """Names as in SQL, and where their metadata is."""
        for zone, database in self.databases.items():
            for page in self.glue.get_paginator("get_tables").paginate(DatabaseName=database):
                for table in page["TableList"]:
                    location = table.get("Parameters", {}).get("metadata_location")
                    if location:
                        yield f"{zone}.{table['Name']}", location

    def _summary(self, table: tuple[str, str]) -> dict[str, Any] | None:
        name, location = table
        bucket, _, key = location.partition("://")[2].partition("/")
        try:
            content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return summary(name, read_metadata(key, content))
        except (ClientError, ValueError, KeyError) as error:
            # One that is just being replaced must not hide the others.
            logger.warning("table not readable", table=name, error=error_type(error))
            return None


def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda's entry: a proxy integration's response."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"tables": make_tables().listed()}),
    }


@cache
def make_tables() -> Tables:
    """The reader that the environment describes; kept while the function is warm."""
    pairs = [pair.partition("=") for pair in setting("DATABASES").split(",")]
    return Tables(boto3.client("glue"), boto3.client("s3"), {zone: database for zone, _, database in pairs})
