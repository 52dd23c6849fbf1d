"""The secret of the keyed hashes: read where the deployment keeps it, and put beside rows, never into a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from glue_jobs.deid.expressions import INNER, OUTER, pads
from glue_jobs.lake.errors import LakeError, Terminal

SHORTEST = 32
"""Characters of a secret: with 64 to choose from, three bits of every eight to spare over 128."""


class SecretUnusable(LakeError, Terminal):
    """Raised when the secret of the twin cannot be read, or is too short to keep anything secret."""


def read_secret(location: str, client: Any = None) -> bytes:
    """The secret at ``file:///…`` or at the ARN of a Secrets Manager secret.

    Raises
    ------
    SecretUnusable : it cannot be read, or is shorter than ``SHORTEST``; the message holds nothing of it
    """
    try:
        text = _read(location, client)
    except Exception as error:
        raise SecretUnusable(
            f"The twin's secret cannot be read ({type(error).__name__})",
            f"See that {location} exists and that the job's role may read it",
        ) from None
    if len(text.strip()) < SHORTEST:
        raise SecretUnusable(
            f"The twin's secret is shorter than {SHORTEST} characters", f"Put a longer one into {location}"
        )
    return text.strip().encode()


def _read(location: str, client: Any) -> str:
    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path)).read_text(encoding="utf-8")
    if client is None:
        import boto3  # Glue's own

        client = boto3.client("secretsmanager")
    return str(client.get_secret_value(SecretId=location)["SecretString"])


def pad_row(spark: SparkSession, secret: bytes) -> DataFrame:
    """One row with the secret's two pads. A frame made of values shows none of them in a plan."""
    inner, outer = (bytearray(each) for each in pads(secret))
    return spark.createDataFrame([(inner, outer)], f"{INNER} binary, {OUTER} binary")


def with_pads(rows: DataFrame, pad: DataFrame) -> DataFrame:
    """The rows, each with the two pads beside it."""
    return rows.crossJoin(F.broadcast(pad))
