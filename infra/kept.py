"""What outlives the stack, read off its template: removing the stack leaves it, and it goes on costing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.assembly import Assembly

_NAMES: Mapping[str, tuple[str, str]] = {
    "AWS::S3::Bucket": ("bucket", "BucketName"),
    "AWS::DynamoDB::Table": ("table", "TableName"),
    "AWS::HealthLake::FHIRDatastore": ("data store", "DatastoreName"),
    "AWS::KMS::Key": ("key", "Description"),
    "AWS::SecretsManager::Secret": ("secret", "Name"),
    "AWS::Cognito::UserPool": ("user pool", "UserPoolName"),
    "AWS::ApiGateway::Account": ("API logging", ""),
}


@dataclass(frozen=True)
class Kept:
    """A resource that removing the stack leaves, as people know it."""

    kind: str
    name: str


def kept(assembly: Assembly) -> list[Kept]:
    """Everything of the template that is retained, by kind and name.

    Names are those of the template: all that hold data have one there.
    """
    template: dict[str, Any] = json.loads(assembly.template_file.read_text())
    found = []
    for logical_id, resource in template["Resources"].items():
        if resource.get("DeletionPolicy") != "Retain":
            continue
        kind, name = _NAMES.get(resource["Type"], (resource["Type"], ""))
        found.append(Kept(kind, str(resource.get("Properties", {}).get(name, logical_id))))
    return sorted(found, key=lambda each: (each.kind, each.name))
