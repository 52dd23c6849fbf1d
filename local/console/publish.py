"""The console's files into the bucket that CloudFront serves them from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from infra.console_page import API_PATH, CONFIG, DICTIONARY, TYPES, page_files

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ASKED_AGAIN: Final = "no-cache"
"""Kept by browsers and CloudFront, and used only where the bucket says that it is still the same: a deployment
shows at once, and nothing needs invalidating."""


def config(outputs: Mapping[str, str], region: str) -> dict[str, str]:
    """The page's `config.json` on AWS. It signs in at Cognito itself, which lets any page ask; data docs are not
    among what CloudFront serves, since whoever knows the address may ask it."""
    return {
        "apiUrl": API_PATH,
        "identityUrl": f"https://cognito-idp.{region}.amazonaws.com/",
        "socketUrl": outputs["SocketUrl"],
        "clientId": outputs["UserPoolClientId"],
        "dictionaryUrl": f"/{DICTIONARY}",
    }


def publish_page(s3: S3Client, outputs: Mapping[str, str], region: str) -> int:
    """Put every file of the page, and its config last; returns how many.

    Files that are no longer the page's stay, as nobody is led to them.
    """
    bucket = outputs["ConsoleBucket"]
    files = page_files()
    for name, file in files.items():
        s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=file.read_bytes(),
            ContentType=TYPES[file.suffix],
            CacheControl=_ASKED_AGAIN,
        )
    told = json.dumps(config(outputs, region), indent=2).encode()
    s3.put_object(
        Bucket=bucket, Key=CONFIG, Body=told, ContentType="application/json", CacheControl=_ASKED_AGAIN
    )
    return len(files) + 1
