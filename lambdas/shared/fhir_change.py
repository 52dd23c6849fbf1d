"""Changes of FHIR resources between exports, and the objects that they land in: pure.

A line of `fhir_changes/resource_type=<Type>/year=…/month=…/day=…/hour=…/<object>.ndjson.gz` is a resource as
HealthLake gave it. Deletions lie beside them in objects whose names begin with `deleted-`; a line there is a
Bundle of one request `DELETE Type/id`, as in the `deleted` files of the Bulk Data standard, and its
`timestamp` is when the resource was gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from lambdas.shared.export_state import iso
from lambdas.shared.fhir_text import dumps
from lambdas.shared.hive import hour_path, partition_path
from lambdas.shared.landing_object import Entry, LandingObject, landing_objects

PREFIX: Final = "fhir_changes/"
DELETED: Final = "deleted-"
"""Begins the names of objects that hold deletions."""
TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")


class NotAResourceError(Exception):
    """Raised when something is no FHIR resource that can be landed; `reason` is one word."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not a resource that can be landed: {reason}")


@dataclass(frozen=True, slots=True)
class FhirChange:
    """One version of a resource, or its deletion.

    `at` is when it was changed, in UTC; `version_id` and `last_updated` are empty where they are not known.
    """

    resource_type: str
    id: str
    version_id: str
    last_updated: str
    at: datetime
    deleted: bool
    text: str

    @property
    def identity(self) -> str:
        """Tells this change from every other: a version, or a deletion by its time."""
        what = f"deleted {iso(self.at)}" if self.deleted else self.version_id or _digest(self.text)
        return f"{self.resource_type}/{self.id}#{what}"

    @property
    def kind(self) -> str:
        """`created`, `updated` or `deleted`. HealthLake counts the versions of a resource from 1."""
        if self.deleted:
            return "deleted"
        return "created" if self.version_id == "1" else "updated"


def resource_change(resource: Any, otherwise: datetime) -> FhirChange:
    """The change that a resource is; `otherwise` is its time where `meta.lastUpdated` gives none.

    Raises
    ------
    NotAResourceError : no object, or without a valid type or id
    """
    if not isinstance(resource, dict):
        raise NotAResourceError("not_an_object")
    resource_type, id_ = resource.get("resourceType"), resource.get("id")
    check_reference(resource_type, id_)
    meta = resource.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    last_updated = meta.get("lastUpdated")
    last_updated = last_updated if isinstance(last_updated, str) else ""
    return FhirChange(
        resource_type=str(resource_type),
        id=str(id_),
        version_id=str(meta.get("versionId") or ""),
        last_updated=last_updated,
        at=moment(last_updated) or otherwise.astimezone(UTC),
        deleted=False,
        text=dumps(resource),
    )


def deletion(resource_type: str, id_: str, at: datetime) -> FhirChange:
    """That a resource was gone at `at`. Raises NotAResourceError."""
    check_reference(resource_type, id_)
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": iso(at),
        "entry": [{"request": {"method": "DELETE", "url": f"{resource_type}/{id_}"}}],
    }
    return FhirChange(resource_type, id_, "", "", at.astimezone(UTC), True, dumps(bundle))


def check_reference(resource_type: Any, id_: Any) -> None:
    """Raises NotAResourceError unless these are a resource type and a logical id."""
    if not isinstance(resource_type, str) or not TYPE.fullmatch(resource_type):
        raise NotAResourceError("no_type")
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise NotAResourceError("no_id")


def moment(text: Any) -> datetime | None:
    """An instant with a zone, in UTC; None where the text is none."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def change_objects(changes: Iterable[FhirChange]) -> list[LandingObject]:
    """One object per type, hour and kind. Which changes they are decides its name, not their order."""
    unique = {change.identity: change for change in changes}
    ordered = [unique[identity] for identity in sorted(unique)]
    return landing_objects(
        Entry(
            folder=_folder(change),
            line=change.text.encode() + b"\n",
            position=position,
            identity=change.identity,
            sequence_number=str(round(change.at.timestamp() * 1000)),
        )
        for position, change in enumerate(ordered)
    )


def quarantine_objects(refused: Sequence[tuple[str, str, datetime]]) -> list[LandingObject]:
    """What cannot be landed, as `(reason, text, time)`: kept as it came, for a person to look at."""
    return landing_objects(
        Entry(
            folder="quarantine/"
            + partition_path(
                (("source", "fhir_changes"), ("reason", reason), ("date", f"{at.astimezone(UTC):%Y-%m-%d}"))
            ),
            line=text.replace("\n", " ").encode() + b"\n",
            position=position,
            identity=_digest(text),
            sequence_number="",
        )
        for position, (reason, text, at) in enumerate(refused)
    )


def _folder(change: FhirChange) -> str:
    path = partition_path([("resource_type", change.resource_type)])
    return f"{PREFIX}{path}{hour_path(change.at)}{DELETED if change.deleted else ''}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
