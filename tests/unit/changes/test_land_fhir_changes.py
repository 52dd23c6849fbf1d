"""What notifications of FHIR Subscriptions become."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.land_fhir_changes.notification import NotANotificationError, read_notification
from lambdas.shared.fhir_change import change_objects, resource_change
from tests.unit.changes.feed_model import START, Cloud, DataStore, at, make, notification, patient, record


def test_a_full_resource_lands_as_it_came_and_is_announced_without_its_content() -> None:
    cloud, store = Cloud(), DataStore()
    body = notification("Patient/a", 5, resource=patient("a", 1, 5, name="@"))
    body = body.replace('"@"', "1.50")
    assert make(cloud, store).land([record(body)]) == set()
    ((key, _),) = cloud.objects.items()
    assert key.startswith("fhir_changes/resource_type=Patient/year=2026/month=03/day=01/hour=00/")
    assert key.endswith(".ndjson.gz")
    import gzip

    assert b'"name":1.50' in gzip.decompress(cloud.objects[key])
    assert cloud.events == [
        {
            "type": "Resource Changed",
            "resourceType": "Patient",
            "id": "a",
            "versionId": "1",
            "lastUpdated": at(5),
            "change": "created",
        }
    ]
    assert store.reads == 0


def test_an_id_only_notification_has_the_resource_read() -> None:
    cloud, store = Cloud(), DataStore({"Patient/a": patient("a", 3, 9)})
    assert make(cloud, store).land([record(notification("Patient/a", 5))]) == set()
    assert cloud.lines() == [patient("a", 3, 9)]
    assert cloud.events[0]["change"] == "updated"


def test_a_deletion_lands_beside_with_the_time_it_happened() -> None:
    cloud = Cloud()
    make(cloud).land([record(notification("Patient/a", 5, method="DELETE"))])
    ((key, _),) = cloud.objects.items()
    assert "/deleted-" in key
    (bundle,) = cloud.lines()
    assert bundle["timestamp"] == "2026-03-01T00:00:05.000Z"
    assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "Patient/a"}}]
    assert [(event["type"], event["change"]) for event in cloud.events] == [("Resource Deleted", "deleted")]


def test_a_resource_that_is_gone_when_it_is_read_was_deleted_since() -> None:
    cloud = Cloud()
    make(cloud, DataStore({})).land([record(notification("Patient/a", 5))])
    assert cloud.lines()[0]["timestamp"] == "2026-03-01T09:00:00.000Z"


def test_a_version_lands_once_however_often_it_is_told() -> None:
    cloud = Cloud()
    message = record(notification("Patient/a", 5, resource=patient("a", 1, 5)))
    for _ in range(3):
        make(cloud).land([message, message])
    assert len(cloud.lines()) == 1
    assert len(cloud.events) == 1


def test_nothing_is_announced_without_a_bus() -> None:
    cloud = Cloud()
    lander = cloud.lander(bus="")
    assert lander.land([resource_change(patient("a", 1, 5), START)]) == 1
    assert cloud.events == []


def test_what_cannot_be_read_from_healthlake_comes_again_alone() -> None:
    cloud = Cloud()
    store = DataStore({"Patient/a": patient("a", 1, 5)}, failing=1)
    batch = [
        record(notification("Patient/a", 5), "throttled"),
        record(notification("Patient/b", 6, resource=patient("b", 1, 6)), "good"),
    ]
    assert make(cloud, store).land(batch) == {"throttled"}
    assert [line["id"] for line in cloud.lines()] == ["b"]


def test_what_is_no_notification_goes_to_quarantine_once() -> None:
    cloud = Cloud()
    for _ in range(2):
        assert make(cloud).land([record('{"detail": {"surprise": 1}}')]) == set()
    (key,) = cloud.objects
    assert key.startswith("quarantine/source=fhir_changes/reason=not_a_notification/date=2026-03-01/")


def test_a_handshake_is_nothing() -> None:
    body = json.loads(notification("Patient/a", 5))
    body["detail"]["entry"][0]["resource"]["parameter"][0]["valueCode"] = "handshake"
    assert read_notification(json.dumps(body)) == []


@pytest.mark.parametrize(
    "wrap", [lambda bundle: {"payload": bundle}, lambda bundle: {"body": json.dumps(bundle)}]
)
def test_the_bundle_is_found_wherever_the_event_has_it(wrap: Any) -> None:
    body = json.loads(notification("Patient/a", 5))
    body["detail"] = wrap(body["detail"])
    (notice,) = read_notification(json.dumps(body))
    assert (notice.resource_type, notice.id, notice.at.isoformat()) == (
        "Patient",
        "a",
        "2026-03-01T00:00:05+00:00",
    )


def test_a_subscription_status_names_its_focus_too() -> None:
    status = {
        "resourceType": "SubscriptionStatus",
        "type": "event-notification",
        "notificationEvent": [
            {"timestamp": at(7), "focus": {"reference": "https://x/r4/Patient/a/_history/2"}}
        ],
    }
    bundle = {"resourceType": "Bundle", "entry": [{"resource": status}]}
    (notice,) = read_notification(json.dumps({"detail": bundle}))
    assert (notice.id, notice.deleted, notice.resource) == ("a", False, None)


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"detail": null}', notification("Patient/a b", 1), notification("nothing", 1)]
)
def test_other_things_are_no_notifications(body: str) -> None:
    with pytest.raises(NotANotificationError):
        read_notification(body)


versions = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=12, unique=True
)


@given(versions, st.randoms(use_true_random=False))
def test_objects_are_named_for_what_is_in_them_whatever_the_order(
    told: list[tuple[str, int]], chance: random.Random
) -> None:
    changes = [resource_change(patient(id_, version, 1800 * version), START) for id_, version in told]
    shuffled = [*changes, *changes[:2]]
    chance.shuffle(shuffled)
    assert change_objects(shuffled) == change_objects(changes)


@given(versions, st.integers(0, 2**32), st.sampled_from([0.0, 0.2, 0.5]))
def test_nothing_is_lost_whatever_fails_is_repeated_or_reordered(
    told: list[tuple[str, int]], seed: int, failing: float
) -> None:
    """As SQS delivers: what a batch reports comes again, and any message may come twice."""
    chance = random.Random(seed)
    cloud = Cloud(chance=chance, failing=failing)
    store = DataStore(chance=chance, failing=failing)
    waiting = []
    for number, (id_, version) in enumerate(told):
        resource = patient(id_, version, version)
        store.resources[f"Patient/{id_}"] = patient(id_, max(v for i, v in told if i == id_), version)
        whole = chance.random() < 0.5
        body = notification(f"Patient/{id_}", version, resource=resource if whole else None)
        waiting += [record(body, f"m{number}-{copy}") for copy in range(chance.choice([1, 1, 2]))]
    chance.shuffle(waiting)
    for _ in range(400):
        if not waiting:
            break
        batch, waiting = waiting[:4], waiting[4:]
        failed = make(cloud, store).land(batch)
        waiting += [each for each in batch if each["messageId"] in failed]
    assert not waiting
    landed = {(line["id"], int(line["meta"]["versionId"])) for line in cloud.lines()}
    announced = {(event["id"], int(event["versionId"])) for event in cloud.events}
    newest = {(id_, max(v for i, v in told if i == id_)) for id_, _ in told}
    assert landed <= set(told) | newest
    assert {id_ for id_, _ in landed} == {id_ for id_, _ in told}
    assert announced == landed
