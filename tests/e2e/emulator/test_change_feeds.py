"""The real stack with either change feed: what changes at the simulator lands without an export."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra.settings import Settings
from local.deploy import deploy
from local.emulator import Emulator
from local.emulator.environment import Options
from local.healthlake.client import HealthLakeClient
from local.healthlake.launcher import HealthLake
from tests.e2e.emulator.conftest import until
from tests.e2e.emulator.reach import Reach
from tests.unit.infra.assemblies import SHARED

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Feed:
    """A deployment with a change feed, and what it landed."""

    name: str
    fhir: HealthLakeClient
    s3: Any
    bucket: str
    bus: str
    """What subscriptions notify; empty where CloudTrail tells."""
    reach: Reach

    def landed(self, prefix: str) -> dict[str, list[dict[str, Any]]]:
        """The lines of each object."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        bodies = {
            each["Key"]: self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read()
            for each in listed
        }
        return {
            key: [
                json.loads(line)
                for line in (gzip.decompress(body) if key.endswith(".gz") else body).splitlines()
            ]
            for key, body in bodies.items()
        }

    def changes(self) -> set[tuple[str, str]]:
        """Id and version of each resource that landed."""
        files = self.landed("fhir_changes/resource_type=Patient/")
        lines = [line for key, lines in files.items() if "/deleted-" not in key for line in lines]
        return {(line["id"], line["meta"]["versionId"]) for line in lines}

    def deletions(self) -> set[str]:
        """Ids that a feed said, or let be seen, to be gone."""
        files = self.landed("fhir_changes/resource_type=Patient/")
        told = [line for key, lines in files.items() if "/deleted-" in key for line in lines]
        gone = {line["entry"][0]["request"]["url"].partition("/")[2] for line in told}
        listings = [
            {line["id"] for line in lines}
            for key, lines in sorted(self.landed("fhir/_exports/listing-patient-").items())
            if key.endswith(".ndjson")
        ]
        return gone | ({"a", "b"} - listings[-1] if listings else set())


@pytest.fixture(scope="module", params=["subscription", "cloudtrail"])
def feed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """With the functions' roles enforced."""
    state = tmp_path_factory.mktemp(request.param) / ".watershed"
    with Emulator(state / "emulator", Options(enforce_iam=True)) as emulator:
        healthlake = HealthLake(
            state=state / "healthlake", s3_endpoint=emulator.endpoint, events_endpoint=emulator.endpoint
        )
        healthlake.start()
        try:
            settings = Settings.local(healthlake.url, healthlake.datastore_id, change_feed=request.param)
            outputs = deploy(emulator, settings, out=SHARED / f"local-{request.param}.cdk.out")
            client = HealthLakeClient(healthlake.url, healthlake.datastore_id)
            bus = dict(outputs).get("HealthLakeBusArn", "")
            if bus:
                client.subscribe(bus, ["Patient"])
            reach = Reach(emulator, settings)
            yield Feed(request.param, client, emulator.client("s3"), outputs["LandingBucket"], bus, reach)
        finally:
            healthlake.stop()


def test_versions_and_deletions_land_without_an_export(feed: Feed) -> None:
    for id_ in ("a", "b"):
        feed.fhir.put({"resourceType": "Patient", "id": id_})
    until(lambda: feed.changes() >= {("a", "1"), ("b", "1")})
    feed.fhir.put({"resourceType": "Patient", "id": "a", "active": True})
    feed.fhir.delete("Patient", "b")
    until(lambda: ("a", "2") in feed.changes() and feed.deletions() == {"b"})
    assert feed.changes() == {("a", "1"), ("a", "2"), ("b", "1")}
    if feed.bus:
        feed.fhir.subscribe(feed.bus, ["Patient"], "full-resource")
    feed.fhir.put({"resourceType": "Patient", "id": "a", "active": False})
    until(lambda: ("a", "3") in feed.changes())
    feed.fhir.delete("Patient", "a")
    until(lambda: feed.deletions() == {"a", "b"})
    assert feed.landed("quarantine/") == {}


_LANDING = {"put landing/fhir_changes", "put landing/quarantine/source=fhir_changes"}
_CONSUMED = {"see fhir-changes", "consume fhir-changes"}
REACH: dict[str, dict[str, set[str]]] = {
    "cloudtrail": {
        "note-fhir-changes": {*_CONSUMED, "update fhir-changes"},
        # Its listings have names of their own, and it writes nothing else under fhir/.
        "find-fhir-changes": {*_LANDING, "put fhir-changes"},
        "fhir-changes": {"get fhir-changes"},
    },
    "subscription": {"land-fhir-changes": {*_LANDING, *_CONSUMED, "put fhir-changes"}},
}


def test_each_role_of_the_feed_reaches_what_its_work_needs_and_nothing_else(feed: Feed) -> None:
    expected = REACH[feed.name]
    assert {role: feed.reach.of(role) for role in expected} == expected
