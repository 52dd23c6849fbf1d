"""Before Cognito signs a token: the scopes of the user's groups, and the claims of the analyst's profile.

Invoked by the user pool as its pre-token generation trigger, version 2. Scopes go into the access token, for
the API's methods ask for one each; `analyst_id`, `analyst_name` and `analyst_group` go into both tokens. Users without a profile, such as
the first engineer, get their scopes alone. Raising refuses the sign-in, as does a profile that was disabled.

Environment: ANALYSTS_TABLE, and SCOPES, a JSON object of the scopes of each group.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from lambdas.shared.logger import make_logger
from lambdas.shared.surroundings import setting

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = make_logger("shape_token", "scopes", "has_profile")


class DisabledAnalystError(Exception):
    """Raised when a disabled analyst asks for a token."""


@dataclass(frozen=True)
class TokenShaper:
    """Shapes tokens; its parts are passed in so that tests can choose them."""

    dynamodb: DynamoDBClient
    table: str
    scopes: Mapping[str, list[str]]

    def shaped(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event with its response filled in. Raises DisabledAnalystError."""
        groups = event["request"].get("groupConfiguration", {}).get("groupsToOverride") or []
        profile = self._profile(event["userName"])
        if "disabledAt" in profile:
            raise DisabledAnalystError("This analyst is disabled")
        claims = {f"analyst_{name}": profile[name] for name in ("id", "name", "group") if name in profile}
        scopes = self._scopes_of(groups)
        event.setdefault("response", {})["claimsAndScopeOverrideDetails"] = {
            "idTokenGeneration": {"claimsToAddOrOverride": claims},
            "accessTokenGeneration": {"claimsToAddOrOverride": claims, "scopesToAdd": scopes},
        }
        logger.info("token shaped", scopes=scopes, has_profile=bool(profile))
        return event

    def _scopes_of(self, groups: Iterable[str]) -> list[str]:
        return sorted({scope for group in groups for scope in self.scopes.get(group, ())})

    def _profile(self, user: str) -> dict[str, str]:
        item = self.dynamodb.get_item(TableName=self.table, Key={"id": {"S": user}}).get("Item", {})
        return {name: value["S"] for name, value in item.items() if "S" in value}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Lambda's entry."""
    return make_shaper().shaped(event)


@cache
def make_shaper() -> TokenShaper:
    """The shaper that the environment describes; kept while the function is warm."""
    return TokenShaper(boto3.client("dynamodb"), setting("ANALYSTS_TABLE"), json.loads(setting("SCOPES")))
