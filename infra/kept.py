"""What outlives the stack, read off the template that is deployed: removing the stack leaves it, and it goes on
costing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KINDS: Mapping[str, str] = {
    "AWS::S3::Bucket": "bucket",
    "AWS::DynamoDB::Table": "table",
    "AWS::HealthLake::FHIRDatastore": "data store",
    "AWS::KMS::Key": "key",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::Cognito::UserPool": "user pool",
    "AWS::ApiGateway::Account": "API logging",
}


@dataclass(frozen=True)
class Kept:
    """A resource that removing the stack leaves; ``name`` is what AWS's commands take: a name, an id or an ARN."""

    kind: str
    name: str


def kept(template: Mapping[str, Any], physical_ids: Mapping[str, str]) -> list[Kept]:
    """Everything of the template that is retained, by kind and name; ``physical_ids`` are by logical id."""
    found = [
        Kept(_KINDS.get(resource["Type"], resource["Type"]), physical_ids.get(logical_id, logical_id))
        for logical_id, resource in template["Resources"].items()
        if resource.get("DeletionPolicy") == "Retain"
    ]
    return sorted(found, key=lambda each: (each.kind, each.name))
