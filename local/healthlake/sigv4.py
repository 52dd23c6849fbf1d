"""Is a request signed as SigV4 asks, for the service healthlake?

The form is checked, not the signature itself: the simulator knows no secret keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from local.healthlake.errors import AccessDenied

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/(?P<day>\d{8})/[a-z0-9-]+/(?P<service>[a-z0-9-]+)/aws4_request,"
    r"\s*SignedHeaders=(?P<signed>[a-z0-9;-]+),\s*Signature=[0-9a-f]{64}"
)


def check_signature(headers: Mapping[str, str]) -> None:
    """Raises AccessDenied that says what is missing."""
    authorization = headers.get("Authorization", "")
    if not authorization:
        raise AccessDenied(
            "Missing Authentication Token: sign the request with SigV4 for the service healthlake"
        )
    match = _AUTHORIZATION.fullmatch(authorization.strip())
    if match is None:
        raise AccessDenied("Authorization is not a SigV4 header with Credential, SignedHeaders and Signature")
    if match["service"] != "healthlake":
        raise AccessDenied(f"Credential is scoped to {match['service']}, not to healthlake")
    stamp = headers.get("X-Amz-Date", "")
    if not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or not stamp.startswith(match["day"]):
        raise AccessDenied("X-Amz-Date is missing, or on another day than the credential scope")
    if not {"host", "x-amz-date"} <= set(match["signed"].split(";")):
        raise AccessDenied("SignedHeaders must name host and x-amz-date")
