"""Which resources of a type exist: the listing by which `conform_fhir` finds what was deleted. Pure.

CloudTrail hides whose deletion it tells of, and HealthLake has histories of single resources only. So the
ids of the whole type are listed, and landed as an export's manifest is, as an export of one type that holds
nothing but identities::

    fhir/_manifests/year=…/month=…/day=…/listing-<type>-<time>.json
    fhir/_exports/listing-<type>-<time>/listing/resource_type=<Type>/identities.ndjson
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lambdas.shared.export_manifest import EXPORT_FILES, landed_key
from lambdas.shared.export_state import iso


@dataclass(frozen=True)
class Listing:
    """What was listed. `judged_at`: what is older and not in it was gone then."""

    resource_type: str
    judged_at: datetime
    lines: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"listing-{self.resource_type.lower()}-{round(self.judged_at.timestamp() * 1000)}"

    @property
    def key(self) -> str:
        folder = f"{EXPORT_FILES}{self.id}/listing/resource_type={self.resource_type}"
        return f"{folder}/identities.ndjson"

    @property
    def manifest_key(self) -> str:
        return landed_key(self.id, self.judged_at)

    def body(self) -> bytes:
        return "".join(f"{line}\n" for line in self.lines).encode()

    def manifest(self) -> str:
        """As of an export, with `kind` to tell them apart."""
        return json.dumps(
            {
                "job_id": self.id,
                "kind": "listing",
                "status": "COMPLETED",
                "submitted_at": iso(self.judged_at),
                "mode": "full",
                "since": None,
                "types": [self.resource_type],
                "files": [{"type": self.resource_type, "key": self.key, "size": len(self.body())}],
                "deleted": [],
                "errors": [],
            }
        )


def identities(resources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The line of each resource, by id: its type, id and version, and nothing else of it."""
    return {
        resource["id"]: json.dumps(
            {
                "resourceType": resource["resourceType"],
                "id": resource["id"],
                "meta": {
                    name: value
                    for name, value in (resource.get("meta") or {}).items()
                    if name in ("versionId", "lastUpdated")
                },
            },
            separators=(",", ":"),
        )
        for resource in resources
    }
