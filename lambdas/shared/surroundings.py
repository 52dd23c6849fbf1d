"""What the functions that handle item changes ask of their surroundings: settings, types, the bucket."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lambdas.shared.item_change import ItemTypeIndex

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_WRITERS = 8
"""Writes at once: a put takes some 30 ms, nearly all of it waiting."""


class MissingSettingError(RuntimeError):
    """Raised when an environment variable that the function needs is not set."""


def setting(name: str) -> str:
    """The environment variable.

    Raises
    ------
    MissingSettingError : it is not set, or empty
    """
    value = os.environ.get(name, "")
    if not value:
        raise MissingSettingError(f"environment variable {name} is not set")
    return value


def landed_by(context: object, function: str) -> str:
    """``<function>:<version>``, of Lambda's context where there is one."""
    name = getattr(context, "function_name", None) or function
    return f"{name}:{getattr(context, 'function_version', None) or 'local'}"


def error_type(error: BaseException) -> str:
    """``ClientError SlowDown``: the code tells an operator what to do, the message may name a partition."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return f"{type(error).__name__} {code}".strip()


@lru_cache(maxsize=1)
def item_type_index() -> ItemTypeIndex:
    """The declared types; read once per process."""
    from schemas.item_type import load_item_types

    return ItemTypeIndex(load_item_types().values())


@lru_cache(maxsize=1)
def landing_client() -> S3Client:
    """S3, with as many connections as writers."""
    import boto3
    from botocore.config import Config

    # Within the function's timeout a few quick attempts; beyond them the caller delivers again anyway.
    retries: Any = {"mode": "standard", "total_max_attempts": 4}
    config = Config(connect_timeout=2, read_timeout=10, retries=retries, max_pool_connections=MAX_WRITERS)
    client: S3Client = boto3.client("s3", config=config)
    return client
